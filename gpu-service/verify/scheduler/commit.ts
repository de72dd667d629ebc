/**
 * Turns the logits of a step into text, token by token.
 *
 * Each token is drawn from the logits that follow the text as it then is, so penalties and logprobs are those
 * of the path that leads there; drawing stops at the first token that the hint did not foretell, at a stop id
 * and at the cap. What was foretold never enters the draw.
 */
import type { LogprobEntry } from "../../protocol/frames.ts";
import { chooseToken, hasPenalties, logprobsOf, penalise } from "../../protocol/sampling.ts";
import type { Sequence } from "./sequence.ts";

export type Block = {
  ids: number[];
  /** How many of `ids` the hint rows had foretold. */
  accepted: number;
  logprobs: LogprobEntry[] | undefined;
  finish: "stop" | "length" | undefined;
};

/** `hinted`: ids whose rows ran after the last committed one; `logitsAt(k)`: logits after k of them. */
export function commitBlock(
  sequence: Sequence,
  hinted: readonly number[],
  logitsAt: (k: number) => Float32Array,
): Block {
  const scored = sequence.start.logprobs !== undefined;
  const block: Block = { ids: [], accepted: 0, logprobs: scored ? [] : undefined, finish: undefined };
  for (let k = 0; k <= hinted.length; k++) {
    const id = drawToken(sequence, logitsAt(k), block);
    sequence.commit(id);
    block.ids.push(id);
    const foretold = k < hinted.length && hinted[k] === id;
    if (foretold) block.accepted++;
    block.finish = sequence.finish;
    if (block.finish || !foretold) break;
  }
  return block;
}

/** The target's own next token. Logprobs come from the raw logits; penalties and bias are then applied in place. */
function drawToken(sequence: Sequence, logits: Float32Array, block: Block): number {
  const { sampling, logprobs } = sequence.start;
  const raw = logprobs !== undefined && hasPenalties(sampling) ? logits.slice() : logits;
  if (hasPenalties(sampling)) penalise(logits, sampling, sequence.outputCounts);
  const id = chooseToken(logits, sampling, sequence.seed, sequence.text.length);
  if (logprobs !== undefined) block.logprobs?.push(rounded(logprobsOf(raw, id, logprobs)));
  return id;
}

/** Six decimals are more than f32 logits carry, and keep frames small. */
export function rounded(entry: LogprobEntry): LogprobEntry {
  const short = (x: number) => Math.round(x * 1e6) / 1e6 || 0;
  return { logprob: short(entry.logprob), top: entry.top.map(([id, x]) => [id, short(x)]) };
}
