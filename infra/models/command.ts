/** Running a command whose output matters only when it fails. */
import { spawn } from "node:child_process";

const TAIL_CHARACTERS = 4_000;
export type Outcome = { ok: boolean; output: string };

/** Runs `command`; `output` is the end of what it wrote. With `show`, standard output goes to the terminal. */
export function run(
  command: string,
  args: readonly string[],
  options: { show?: boolean; env?: NodeJS.ProcessEnv; signal?: AbortSignal } = {},
): Promise<Outcome> {
  return new Promise((resolve) => {
    const stdout = options.show ? "inherit" : "pipe";
    const env = { ...process.env, ...options.env };
    const child = spawn(command, args, { stdio: ["ignore", stdout, "pipe"], env, signal: options.signal });
    let output = "";
    const keep = (chunk: Buffer) => {
      output = (output + chunk.toString("utf8")).slice(-TAIL_CHARACTERS);
    };
    child.stdout?.on("data", keep);
    child.stderr?.on("data", keep);
    child.on("error", (error) => resolve({ ok: false, output: `${output}\n${error.message}` }));
    child.on("close", (code) => resolve({ ok: code === 0, output }));
  });
}

/** What a failed pip or hub command was about, in words that name a remedy. */
export function explain(output: string): string {
  const reasons: [RegExp, string][] = [
    [/No space left on device|ENOSPC|Errno 28/, "the disk is full"],
    [
      /name resolution|Name or service not known|getaddrinfo|ConnectError|Network is unreachable|Connection(?:Error|Refused| refused| reset)|NewConnectionError|timed out|offline|ProxyError|Max retries/i,
      "the network cannot be reached (none, or a proxy that pip does not know); the same command goes on from here later",
    ],
    [
      /HASHES? (?:DO|DOES) NOT MATCH|do not match the hashes/i,
      "a downloaded file is not the pinned one; it was thrown away",
    ],
    [
      /No matching distribution/i,
      "no such package was found: no network, or none for this machine and its version of Python",
    ],
    [/Permission denied|Read-only file system/i, "no permission to write there"],
  ];
  const reason = reasons.find(([pattern]) => pattern.test(output))?.[1];
  return reason ?? `see its last lines:\n${output.trim().split("\n").slice(-8).join("\n")}`;
}
