/** A sequence as the process is told of it, and what the process says of it, as frames of the link. */
import {
  type LogprobEntry,
  MAX_HINT_IDS,
  type TokensFrame,
  type VerifierFrame,
} from "../../../protocol/frames.ts";
import { rounded } from "../../scheduler/commit.ts";
import type { Sequence } from "../../scheduler/sequence.ts";
import { tokensFrames } from "../../scheduler/tokens.ts";
import type { EngineInfo } from "../engine.ts";
import type { Entry, Part, ToProcess } from "./messages.ts";

export function startMessage(sequence: Sequence): ToProcess {
  const { start, text, stream } = sequence;
  return {
    type: "start",
    stream,
    ids: text,
    // vLLM draws at least one id; where none is wanted it is not taken.
    max_tokens: Math.max(1, sequence.cap - sequence.outputTokens),
    stop_ids: start.stop_ids,
    logprobs: start.logprobs,
    prompt_logprobs: start.prompt_logprobs,
    drafts: start.drafts,
    tenant: start.tenant,
    sampling: { ...start.sampling, confirmed: sequence.outputTokens },
  };
}

/** `part`: the one with the prompt's scores, where they were asked for. */
export function openedFrame(sequence: Sequence, info: EngineInfo, part?: Part): VerifierFrame {
  const { stream, start, cachedTokens } = sequence;
  const { length } = start.prompt;
  const top = start.prompt_logprobs;
  return {
    type: "opened",
    stream,
    limits: { hint_ids: MAX_HINT_IDS, context: info.context },
    prompt_tokens: length,
    cached_tokens: cachedTokens,
    numerics: info.numerics,
    ...(top === undefined || !part ? {} : { prompt_logprobs: promptEntries(part, length, top) }),
  };
}

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

/** Tokens of a step, and hint rows by their sources, over all its sequences. */
export class Tally {
  readonly sums = {
    tokens: 0,
    drafted: {} as Record<string, number>,
    accepted: {} as Record<string, number>,
  };

  add({ drafted }: Part, frames: readonly TokensFrame[]): void {
    const { sums } = this;
    for (const source of drafted) sums.drafted[source] = (sums.drafted[source] ?? 0) + 1;
    for (const { ids, source, accepted } of frames) {
      sums.tokens += ids.length;
      if (source) sums.accepted[source] = (sums.accepted[source] ?? 0) + accepted;
    }
  }
}

/** The prompt's scores: one for each of its ids, null for the first. Confirmed ids are scored too, and left out. */
function promptEntries(part: Part, length: number, top: number): (LogprobEntry | null)[] {
  return part.prompt_logprobs!.slice(0, length).map((entry) => entry && logprobEntry(entry, top));
}

function logprobEntry([logprob, likely]: Entry, top: number): LogprobEntry {
  const value = (x: number) => Math.min(0, x);
  return rounded({
    logprob: value(logprob),
    top: likely.slice(0, top).map(([id, x]) => [id, value(x)]),
  });
}
