/**
 * What a sequence may expect before a step: of starting at once, and of waiting for hints that are on their way.
 *
 * Everything is counted in tokens and in milliseconds beyond the plain step that runs in any case.
 */
import type { Awaited } from "./arrivals.ts";
import { type CostTable, plainPast, withRows } from "./cost.ts";
import type { Sequence } from "./sequence.ts";

/** Ids per sequence that are looked ahead. */
const MOST_IDS = 24;

/** One sequence before a step. */
export type Prospect = {
  sequence: Sequence;
  /** Hinted ids that are there. */
  have: number;
  /** Chance that hinted id k is right if all before it are. */
  rates: readonly number[];
  /** Expected tokens of a step with k hint rows. */
  tokens: readonly number[];
  awaited: Awaited | undefined;
};
/** What a choice brings a sequence, beside the plain step that runs in any case. */
type Outcome = { tokens: number; ms: number };
export type Candidate = { prospect: Prospect; waitMs: number; giveUpMs: number; gain: number };

export class StepCosts {
  readonly plainMs: number;
  /** Of a plain step, one sequence's part. */
  readonly shareMs: number;
  readonly #rowsMs: readonly number[];

  constructor(costs: CostTable, active: readonly Sequence[]) {
    const slots = active.length;
    const past = plainPast(active.map(({ cache }) => cache!.length));
    this.plainMs = costs.ms(slots, slots, past);
    this.shareMs = this.plainMs / slots;
    const usual = past.read / slots;
    this.#rowsMs = Array.from(
      { length: MOST_IDS + 1 },
      (_, k) => costs.ms(slots, slots + k, withRows(past, usual, k)) - this.plainMs,
    );
  }

  /** Milliseconds that `rows` hint rows add to a step, of sequences of average length. */
  rowsMs(rows: number): number {
    return this.#rowsMs[rows]!;
  }
}

export function prospectOf(sequence: Sequence, now: number): Prospect {
  const { acceptance, arrivals, hints, text, lastSource } = sequence;
  const most = Math.max(0, Math.min(MOST_IDS, sequence.cap - sequence.outputTokens - 1));
  const sources = (sequence.start.drafts && most > 0 && hints.next(text.length, most)?.sources) || [];
  const rates: number[] = [];
  const tokens = [1];
  for (let place = 0, reach = 1; place < most; place++) {
    rates.push(acceptance.rate(sources[place] ?? lastSource, place));
    reach *= rates[place]!;
    tokens.push(tokens[place]! + reach);
  }
  const have = sources.length;
  const awaited = have < most ? arrivals.awaited(have, text.length, now) : undefined;
  return { sequence, have, rates, tokens, awaited };
}

/** Tokens per millisecond of a step that starts at once and of what is under way then. */
export function paceAtOnce(prospects: readonly Prospect[], steps: StepCosts): number {
  let pace = prospects.length / steps.plainMs;
  // How many rows pay depends on the pace; it settles at once.
  for (let round = 0; round < 3; round++) {
    const total = { tokens: 0, ms: steps.plainMs };
    for (const prospect of prospects) add(total, atOnce(prospect, pace, steps));
    pace = total.tokens / total.ms;
  }
  return pace;
}

function atOnce(prospect: Prospect, pace: number, steps: StepCosts): Outcome {
  const { have, rates, tokens, awaited } = prospect;
  if (have > 0) return outcomeOf(prospect, have, pace, steps);
  if (!awaited) return { tokens: 1, ms: 0 };
  // Plain steps until the first hint is there; it and those after it count if they agree with what was confirmed.
  const plain = Math.max(1, Math.ceil(awaited.msUntil(1) / steps.plainMs));
  const overtaken = awaited.overtaken + plain;
  if (overtaken >= tokens.length) return { tokens: 1, ms: 0 };
  let there = overtaken;
  while (there < tokens.length - 1 && awaited.msUntil(there + 1) <= plain * steps.plainMs) there++;
  const later = outcomeOf(prospect, there - overtaken, pace, steps);
  const chance = awaited.chance * product(rates, overtaken);
  return {
    tokens: plain + chance * later.tokens,
    ms: (plain - 1) * steps.shareMs + chance * (steps.shareMs + later.ms),
  };
}

/** A step with as many of `have` hint rows as pay. */
function outcomeOf({ tokens }: Prospect, have: number, pace: number, steps: StepCosts): Outcome {
  let best = { tokens: 1, ms: 0 };
  for (let k = 1; k <= have; k++) {
    const outcome = { tokens: tokens[k]!, ms: steps.rowsMs(k) };
    if (worth(outcome, pace) > worth(best, pace)) best = outcome;
  }
  return best;
}

/** How many of the ids under way are best waited for; undefined where none are. */
export function bestWait(prospect: Prospect, pace: number, steps: StepCosts): Candidate | undefined {
  const { awaited, have, tokens, rates } = prospect;
  if (!awaited) return undefined;
  const now = worth(atOnce(prospect, pace, steps), pace);
  const chance = awaited.chance * product(rates, awaited.overtaken);
  const without = worth(outcomeOf(prospect, have, pace, steps), pace);
  let best: Candidate | undefined;
  for (let k = have + 1; k < tokens.length; k++) {
    const untilMs = awaited.msUntil(k + awaited.overtaken);
    const giveUpMs = awaited.giveUpMs;
    const waitMs = awaited.chance * untilMs + (1 - awaited.chance) * giveUpMs;
    const gain =
      chance * worth({ tokens: tokens[k]!, ms: steps.rowsMs(k) }, pace) + (1 - chance) * without - now;
    if (gain - pace * waitMs > (best ? best.gain - pace * best.waitMs : 0))
      best = { prospect, waitMs, giveUpMs, gain };
  }
  return best;
}

function add(total: Outcome, { tokens, ms }: Outcome): void {
  total.tokens += tokens;
  total.ms += ms;
}

const worth = ({ tokens, ms }: Outcome, pace: number): number => tokens - pace * ms;
const product = (rates: readonly number[], count: number): number =>
  rates.slice(0, count).reduce((all, rate) => all * rate, 1);
