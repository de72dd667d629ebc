/** What comes of a step for one sequence: scores, tokens, and what its hint was worth. */
import type { TokensFrame } from "../../protocol/frames.ts";
import { logprobsOf } from "../../protocol/sampling.ts";
import type { Batch, Part } from "./batch.ts";
import { commitBlock, rounded } from "./commit.ts";
import { type CostTable, withRows } from "./cost.ts";
import { WASTE_SHARE } from "./plan.ts";
import type { Sequence } from "./sequence.ts";
import { tokensFrames } from "./tokens.ts";

/**
 * Draws and commits the sequence's tokens; none while its prompt is not through. `row`: logits of a row of
 * its slot. Afterwards the cache holds all of the text but the last id.
 */
export function settlePart(
  part: Part,
  batch: Batch,
  costs: CostTable,
  row: (index: number) => Float32Array,
): TokensFrame[] {
  const { sequence, fresh, hinted } = part;
  if (sequence.finish || sequence.pendingIds > 0) return [];
  const at = sequence.text.length;
  const block = commitBlock(sequence, hinted, (k) => row(fresh - 1 + k));
  sequence.cache!.truncate(Math.min(sequence.cache!.length, sequence.text.length - 1));
  observe(part, block.ids);
  keepLedger(part, block.accepted, batch, costs);
  hinted.forEach((_, place) => {
    sequence.count(part.foretold!.sources[place]!, place, place < block.accepted);
  });
  const { ids, accepted, logprobs } = block;
  return tokensFrames({
    stream: sequence.stream,
    at,
    ids,
    accepted,
    sources: part.foretold?.sources ?? [],
    logprobs,
  });
}

/** Adds the log probabilities of the prompt's ids that follow `rows` rows, the first of them at `position`. */
export function scorePrompt(
  sequence: Sequence,
  position: number,
  rows: number,
  row: (index: number) => Float32Array,
): void {
  const { prompt, prompt_logprobs } = sequence.start;
  for (let i = 0; i < rows && position + i + 1 < prompt.length; i++) {
    sequence.promptLogprobs.push(rounded(logprobsOf(row(i), prompt[position + i + 1]!, prompt_logprobs!)));
  }
}

/** A row that did not run still shows whether its id was right. */
function observe({ sequence, foretold }: Part, ids: readonly number[]): void {
  if (!foretold) return;
  for (let k = 0; k < Math.min(ids.length, foretold.ids.length); k++) {
    const came = foretold.ids[k] === ids[k];
    sequence.acceptance.observe(foretold.sources[k]!, k, came);
    if (!came) return;
  }
}

/** Credits what accepted ids saved and a share of plain time; debits what hint rows cost. */
function keepLedger(part: Part, accepted: number, batch: Batch, costs: CostTable): void {
  const { sequence, hinted, cached } = part;
  if (sequence.credit === undefined) return;
  const { base, whole } = batch;
  const slots = batch.parts.length;
  const plainMs = costs.ms(slots, base.rows, base.past) / slots;
  const pastWithout = withRows(whole.past, cached, -hinted.length);
  const priceMs =
    costs.ms(slots, whole.rows, whole.past) - costs.ms(slots, whole.rows - hinted.length, pastWithout);
  sequence.credit += plainMs * (accepted + WASTE_SHARE) - priceMs;
}
