/** What pip's output means, in one line. The first pattern that fits wins. */
const NO_NETWORK =
  /Temporary failure in name resolution|Name or service not known|NewConnectionError|ConnectionError|timed out|Network is unreachable|ProxyError/i;
const NOT_OFFERED = /No matching distribution found for (\S+)/;
const REASONS: [RegExp, string][] = [
  [/No space left on device|ENOSPC|Errno 28/i, "the disk is full"],
  [/Permission denied|Read-only file system/i, "no permission to write there"],
  [/THESE PACKAGES DO NOT MATCH THE HASHES/i, "a package is not the one that was pinned (its hash differs)"],
  [NO_NETWORK, "the package index cannot be reached (no network, or a proxy that pip does not know)"],
  [
    /requires a different Python|Requires-Python/i,
    "a package does not support this Python; name another by OUTRIDER_PYTHON",
  ],
  [NOT_OFFERED, "no index that pip is configured with offers it"],
];

/** Whether an index was reached and has no such package; without a network pip says "no match" as well. */
export const isNotOffered = (output: string): boolean => NOT_OFFERED.test(output) && !NO_NETWORK.test(output);

export function explainPip(output: string): string {
  const reason = REASONS.find(([pattern]) => pattern.test(output))?.[1];
  const last = output.trim().split("\n").at(-1)?.trim() ?? "no output";
  return reason ? `${reason} (${last})` : last;
}
