/** What the process says of a sequence, as frames of the link. */
import type { LogprobEntry, TokensFrame } from "../../../protocol/frames.ts";
import { rounded } from "../../scheduler/commit.ts";
import type { Sequence } from "../../scheduler/sequence.ts";
import { tokensFrames } from "../../scheduler/tokens.ts";
import type { Entry, Part } from "./messages.ts";

/** Commits a part's tokens, up to the text's end, and counts its hint rows. */
export function settle(sequence: Sequence, part: Part): TokensFrame[] {
  const at = sequence.text.length;
  const ids: number[] = [];
  for (const id of part.ids) {
    if (sequence.finish) break;
    sequence.commit(id);
    ids.push(id);
  }
  const accepted = Math.min(part.accepted, ids.length);
  part.drafted.forEach((source, place) => {
    sequence.count(source, place, place < accepted);
  });
  sequence.steps = part.steps;
  const top = sequence.start.logprobs;
  const logprobs =
    top === undefined ? undefined : (part.logprobs ?? []).map((entry) => logprobEntry(entry, top));
  return tokensFrames({ stream: sequence.stream, at, ids, accepted, sources: part.drafted, logprobs });
}

/** The prompt's scores: one for each of its ids, null for the first. Confirmed ids are scored too, and left out. */
export function promptEntries(part: Part, length: number, top: number): (LogprobEntry | null)[] {
  return part.prompt_logprobs!.slice(0, length).map((entry) => entry && logprobEntry(entry, top));
}

function logprobEntry([logprob, likely]: Entry, top: number): LogprobEntry {
  const value = (x: number) => Math.min(0, x);
  return rounded({
    logprob: value(logprob),
    top: likely.slice(0, top).map(([id, x]) => [id, value(x)]),
  });
}
