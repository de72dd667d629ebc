/** Committed ids as frames: one for each stretch that one source had foretold; the token after them rides with the last. */
import type { HintSource, LogprobEntry, TokensFrame } from "../../protocol/frames.ts";

export type Confirmed = {
  stream: number;
  /** Position of the first id. */
  at: number;
  ids: readonly number[];
  /** How many of them hint rows had foretold, and which source each. */
  accepted: number;
  sources: readonly HintSource[];
  logprobs: readonly LogprobEntry[] | undefined;
};

export function tokensFrames({ stream, at, ids, accepted, sources, logprobs }: Confirmed): TokensFrame[] {
  const frames: TokensFrame[] = [];
  for (let from = 0; from < ids.length; ) {
    const source = from < accepted ? sources[from] : undefined;
    let to = from;
    while (to < accepted && sources[to] === source) to++;
    const foretold = to - from;
    if (to === accepted) to = ids.length;
    frames.push({
      type: "tokens",
      stream,
      at: at + from,
      ids: ids.slice(from, to),
      accepted: foretold,
      ...(source ? { source } : {}),
      ...(logprobs ? { logprobs: logprobs.slice(from, to) } : {}),
    });
    from = to;
  }
  return frames;
}
