/** What runs in one step: the rows that every sequence needs anyway, and the hint rows that pay. */
import { MAX_HINT_IDS } from "../../protocol/frames.ts";
import type { CostTable } from "./cost.ts";
import type { Foretold } from "./hints.ts";
import type { SlotRows } from "./model.ts";
import { type Offer, planHintRows } from "./plan.ts";
import type { Sequence } from "./sequence.ts";

/** Rows of a prompt in one step when nobody else waits for it; 64 keep a cancel's delay short. */
const PREFILL_ROWS = 64;
/** A prompt's chunk may make a step of the others at most this much longer, with their hint rows this much. */
const PREFILL_SLOWDOWN = 2;
const PREFILL_SLOWDOWN_WITH_HINTS = 2.5;
const LEAST_PREFILL_ROWS = 4;

/** One sequence's part in a step. */
export type Part = {
  sequence: Sequence;
  /** Rows of committed ids that are not in the cache yet. */
  fresh: number;
  /** What is foretold after them, and how much of that is tried. */
  foretold: Foretold | undefined;
  hinted: readonly number[];
};

export type Batch = { parts: Part[]; baseRows: number; rows: number };

/** `active`: oldest first. Every sequence with its text in the cache takes part; prompts share a budget of rows. */
export function planBatch(active: readonly Sequence[], costs: CostTable): Batch {
  const parts = freshParts(active, costs);
  const baseRows = parts.reduce((sum, part) => sum + part.fresh, 0);
  const offering = parts.filter((part) => part.foretold);
  const offers = offering.map((part) => offerOf(part, parts.length, baseRows, costs));
  const tokens = parts.filter((part) => part.fresh === part.sequence.pendingIds).length;
  const mostMs = tokens === parts.length ? undefined : costs.ms(tokens, tokens) * PREFILL_SLOWDOWN_WITH_HINTS;
  const hintRows = planHintRows(offers, { slots: parts.length, tokens, rows: baseRows, mostMs }, costs);
  let rows = baseRows;
  offering.forEach((part, i) => {
    part.hinted = part.foretold!.ids.slice(0, hintRows[i]);
    rows += part.hinted.length;
  });
  return { parts, baseRows, rows };
}

export function slotRows({ sequence, fresh, hinted }: Part): SlotRows {
  const from = sequence.cache!.length;
  const whole = from + fresh === sequence.text.length;
  return {
    cache: sequence.cache!,
    ids: [...sequence.text.slice(from, from + fresh), ...hinted],
    firstLogitRow: sequence.isScoring ? 0 : whole ? fresh - 1 : fresh,
  };
}

function freshParts(active: readonly Sequence[], costs: CostTable): Part[] {
  const prompts = active.filter((s) => s.pendingIds > 1);
  const rows = prefillRows(prompts, prefillBudget(active.length - prompts.length, costs));
  const parts: Part[] = [];
  for (const sequence of active) {
    const pending = sequence.pendingIds;
    const fresh = pending === 1 ? 1 : rows.get(sequence)!;
    if (fresh === 0) continue;
    const most = fresh === pending ? Math.min(MAX_HINT_IDS, sequence.cap - sequence.outputTokens - 1) : 0;
    const foretold = most > 0 ? sequence.hints.next(sequence.text.length, most) : undefined;
    parts.push({ sequence, fresh, foretold, hinted: [] });
  }
  return parts;
}

/**
 * Rows of each prompt under way, of `budget` in all. What is soonest through goes first, so that a short prompt does
 * not wait for a long one; the oldest has a quarter of the rows in any case, so that none waits for ever.
 */
function prefillRows(prompts: readonly Sequence[], budget: number): ReadonlyMap<Sequence, number> {
  const rows = new Map(prompts.map((s) => [s, 0]));
  let left = budget;
  const give = (sequence: Sequence, most: number) => {
    const had = rows.get(sequence)!;
    const more = Math.min(most, left, sequence.pendingIds - had);
    rows.set(sequence, had + more);
    left -= more;
  };
  if (prompts[0]) give(prompts[0], Math.ceil(budget / 4));
  for (const sequence of [...prompts].sort((a, b) => a.pendingIds - b.pendingIds)) give(sequence, left);
  return rows;
}

function prefillBudget(ready: number, costs: CostTable): number {
  if (ready === 0) return PREFILL_ROWS;
  const most = costs.ms(ready, ready) * PREFILL_SLOWDOWN;
  let rows = LEAST_PREFILL_ROWS;
  while (rows * 2 <= PREFILL_ROWS && costs.ms(ready + 1, ready + rows * 2) <= most) rows *= 2;
  return rows;
}

function offerOf({ sequence, foretold }: Part, slots: number, baseRows: number, costs: CostTable): Offer {
  // A sequence begins with credit for one hint row.
  sequence.credit ??= (costs.ms(slots, baseRows + 1) - costs.ms(slots, baseRows)) * 1.01;
  let chance = 1;
  const chances = foretold!.ids.map((_, place) => {
    chance *= sequence.acceptance.rate(foretold!.sources[place]!, place);
    return chance;
  });
  return { chances, credit: sequence.credit };
}
