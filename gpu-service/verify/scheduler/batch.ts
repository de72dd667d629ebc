/** What runs in one step: the rows that every sequence needs anyway, and the hint rows that pay. */
import { MAX_HINT_IDS } from "../../protocol/frames.ts";
import { type CostTable, EMPTY, type Past, plainPast, withRows, withSequence } from "./cost.ts";
import type { Foretold } from "./hints.ts";
import type { SlotRows } from "./model.ts";
import { type Offer, planHintRows } from "./plan.ts";
import type { Sequence } from "./sequence.ts";

/** Rows of a prompt in one step when nobody else waits for it; 64 keep a cancel's delay short. */
const PREFILL_ROWS = 64;
/** A step of the others with a prompt's chunk in it is at most so many times as long, with their hint rows so many. */
const PREFILL_SLOWDOWN = 1.5;
const PREFILL_SLOWDOWN_WITH_HINTS = 1.75;

/** One sequence's part in a step. */
export type Part = {
  sequence: Sequence;
  /** Positions in the cache before the step. */
  cached: number;
  /** Rows of committed ids that are not in the cache yet. */
  fresh: number;
  /** What is foretold after them, and how much of that is tried. */
  foretold: Foretold | undefined;
  hinted: readonly number[];
};

/** `base`: without the hint rows. */
export type Batch = { parts: Part[]; base: Extent; whole: Extent };
/** What a step's cost depends on, beside its sequences. */
export type Extent = { rows: number; past: Past };

/** `active`: oldest first. Every sequence with its text in the cache takes part; prompts share a budget of rows. */
export function planBatch(active: readonly Sequence[], costs: CostTable): Batch {
  const parts = freshParts(active, costs);
  const base = extentOf(parts);
  const offering = parts.filter((part) => part.foretold);
  const offers = offering.map((part) => offerOf(part, parts.length, base, costs));
  const tokens = parts.filter(({ sequence, fresh }) => fresh === sequence.pendingIds).length;
  const others = parts.filter(({ sequence }) => sequence.pendingIds === 1);
  const isShared = others.length > 0 && others.length < parts.length;
  const { rows, past } = extentOf(others);
  const mostMs = isShared ? costs.ms(rows, rows, past) * PREFILL_SLOWDOWN_WITH_HINTS : undefined;
  const plan = { slots: parts.length, tokens, ...base, mostMs };
  const hintRows = planHintRows(offers, plan, costs);
  offering.forEach((part, i) => {
    part.hinted = part.foretold!.ids.slice(0, hintRows[i]);
  });
  return { parts, base, whole: extentOf(parts) };
}

/** Rows of all parts with the hint rows that they have so far. */
function extentOf(parts: readonly Part[]): Extent {
  let rows = 0;
  let past = EMPTY;
  for (const { cached, fresh, hinted } of parts) {
    rows += fresh + hinted.length;
    past = withSequence(past, cached, fresh + hinted.length);
  }
  return { rows, past };
}

export function slotRows({ sequence, cached, fresh, hinted }: Part): SlotRows {
  const whole = cached + fresh === sequence.text.length;
  return {
    cache: sequence.cache!,
    ids: [...sequence.text.slice(cached, cached + fresh), ...hinted],
    firstLogitRow: sequence.isScoring ? 0 : whole ? fresh - 1 : fresh,
  };
}

function freshParts(active: readonly Sequence[], costs: CostTable): Part[] {
  const prompts = active.filter((s) => s.pendingIds > 1);
  const ready = active.filter((s) => s.pendingIds === 1);
  const rows = prefillRows(prompts, prefillBudget(ready, prompts, costs));
  const parts: Part[] = [];
  for (const sequence of active) {
    const pending = sequence.pendingIds;
    const fresh = pending === 1 ? 1 : rows.get(sequence)!;
    if (fresh === 0) continue;
    const most = fresh === pending ? Math.min(MAX_HINT_IDS, sequence.cap - sequence.outputTokens - 1) : 0;
    const foretold = most > 0 ? sequence.hints.next(sequence.text.length, most) : undefined;
    parts.push({ sequence, cached: sequence.cache!.length, fresh, foretold, hinted: [] });
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

/** As many rows of prompts as do not hold the others up too long, as if all of them were of the longest prompt. */
function prefillBudget(ready: readonly Sequence[], prompts: readonly Sequence[], costs: CostTable): number {
  if (ready.length === 0 || prompts.length === 0) return PREFILL_ROWS;
  const slots = ready.length;
  const past = plainPast(ready.map(({ cache }) => cache!.length));
  const most = costs.ms(slots, slots, past) * PREFILL_SLOWDOWN;
  const cached = Math.max(...prompts.map(({ cache }) => cache!.length));
  const fits = (rows: number) =>
    costs.ms(slots + 1, slots + rows, withSequence(past, cached + rows, rows)) <= most;
  let rows = 1;
  while (rows < PREFILL_ROWS && fits(rows + 1)) rows++;
  return rows;
}

function offerOf(part: Part, slots: number, { rows, past }: Extent, costs: CostTable): Offer {
  const { sequence, cached, foretold } = part;
  // A sequence begins with credit for one hint row.
  sequence.credit ??=
    (costs.ms(slots, rows + 1, withRows(past, cached, 1)) - costs.ms(slots, rows, past)) * 1.01;
  let chance = 1;
  const chances = foretold!.ids.map((_, place) => {
    chance *= sequence.acceptance.rate(foretold!.sources[place]!, place);
    return chance;
  });
  return { chances, credit: sequence.credit, cached };
}
