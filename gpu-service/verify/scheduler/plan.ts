/**
 * How many hint rows each sequence gets in a step: those that raise expected tokens per millisecond.
 *
 * A row pays by the chance that it and all rows before it come true. Rows are offered likeliest first; of all
 * the prefixes of that order (none included) the one with the best ratio is taken, because cost by rows has
 * steps in it and need not be convex. A sequence's ledger bounds what wrong hints can cost it: wasted rows
 * never exceed what hints have saved it plus a small share of plain time. And what pays for all together may
 * not hold up one of them too much: the rows of a long right hint make everybody's step longer.
 */
import { type CostTable, EMPTY, type Past, withRows } from "./cost.ts";

/** Share of plain time that a sequence may waste on wrong hints. */
export const WASTE_SHARE = 0.015;
export const MAX_HINT_ROWS_PER_STEP = 64;
/** Each sequence is expected to move at least at this share of the pace that it has without hints. */
const LEAST_PACE = 0.5;

export type Offer = {
  /** Chance that hint row k and all before it come true; never rising. */
  chances: readonly number[];
  /** Milliseconds that this sequence may still waste. */
  credit: number;
  /** Cached positions that each of its rows looks at. */
  cached?: number;
};

/** What runs in the step anyway: sequences, those of them that gain a token by it, and their rows. */
export type Base = {
  slots: number;
  tokens: number;
  rows: number;
  past?: Past;
  /** With its hint rows the step may not take longer than this, milliseconds. */
  mostMs?: number | undefined;
};

/** Hint rows for each offer; an offer comes from one of the sequences that gain a token. */
export function planHintRows(offers: readonly Offer[], base: Base, costs: CostTable): number[] {
  const taken = offers.map(() => 0);
  const spent = offers.map(() => 0);
  const gained = offers.map(() => 1);
  let best = [...taken];
  let past = base.past ?? EMPTY;
  const plainMs = costs.ms(base.slots, base.rows, past);
  let cost = plainMs;
  let expected = base.tokens;
  let bestRatio = expected / cost;
  for (let rows = 1; rows <= MAX_HINT_ROWS_PER_STEP; rows++) {
    const pastWith = (offer: Offer) => withRows(past, offer.cached ?? 0, 1);
    const priceOf = (offer: Offer) => costs.ms(base.slots, base.rows + rows, pastWith(offer)) - cost;
    const pick = likeliest(offers, taken, spent, priceOf);
    if (pick < 0) break;
    const offer = offers[pick]!;
    const price = priceOf(offer);
    if (cost + price > (base.mostMs ?? Number.POSITIVE_INFINITY)) break;
    const chance = offer.chances[taken[pick]!]!;
    expected += chance;
    gained[pick] = gained[pick]! + chance;
    taken[pick] = taken[pick]! + 1;
    spent[pick] = spent[pick]! + price;
    cost += price;
    past = pastWith(offer);
    const least = offers.length < base.tokens ? 1 : Math.min(...gained);
    if (expected / cost > bestRatio && LEAST_PACE * cost <= least * plainMs) {
      bestRatio = expected / cost;
      best = [...taken];
    }
  }
  return best;
}

/** The offer whose next row is likeliest (of equals the one with fewest rows) and whose credit covers it, or -1. */
function likeliest(
  offers: readonly Offer[],
  taken: readonly number[],
  spent: readonly number[],
  priceOf: (offer: Offer) => number,
): number {
  let pick = -1;
  let chance = 0;
  for (let i = 0; i < offers.length; i++) {
    const { chances, credit } = offers[i]!;
    const next = chances[taken[i]!];
    if (next === undefined || next < chance) continue;
    if (next === chance && (pick < 0 || taken[i]! >= taken[pick]!)) continue;
    if (spent[i]! + priceOf(offers[i]!) > credit) continue;
    pick = i;
    chance = next;
  }
  return pick;
}
