/**
 * The hint-wait: whether the next step is better held back until hints are there that are on their way.
 *
 * A step that starts at once brings a sequence without hints one token, and of the hints that arrive meanwhile those
 * after the first, if the first was right. A step that waits brings the first as well, for the time it waits. Both
 * are compared by expected tokens at the pace (tokens per millisecond) of starting at once: at that pace starting at
 * once is worth nothing, so that a wait of positive worth is the faster way.
 * A wait holds up everybody, so it has to be worth it for all together. Where others have much to do, it never is.
 */
import type { Awaited } from "./arrivals.ts";
import { type CostTable, plainPast, withRows } from "./cost.ts";
import type { Sequence } from "./sequence.ts";

/** Ids per sequence that are looked ahead. */
const MOST_IDS = 24;
/** A wait has to promise so many tokens: times vary, and an idle moment is certain. */
const LEAST_WORTH = 0.02;

/** Whose hints are waited for: `have` of them are there, the others are given up at `giveUpAt`. */
type Waiter = { sequence: Sequence; have: number; giveUpAt: number };
/** Times by the scheduler's clock. */
export type Hold = { since: number; until: number; waiters: readonly Waiter[] };

/** One sequence before a step. */
type Prospect = {
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
type Candidate = { prospect: Prospect; waitMs: number; giveUpMs: number; gain: number };

/** `active`: the sequences that hold a slot. Undefined: the step starts at once. */
export function worthwhileHold(active: readonly Sequence[], costs: CostTable, now: number): Hold | undefined {
  if (active.length === 0 || active.some((sequence) => sequence.pendingIds !== 1)) return undefined;
  const prospects = active.map((sequence) => prospectOf(sequence, now));
  if (prospects.every(({ awaited }) => !awaited)) return undefined;
  const steps = new StepCosts(costs, active);
  const pace = paceAtOnce(prospects, steps);
  const candidates = prospects
    .map((prospect) => bestWait(prospect, pace, steps))
    .filter((candidate) => candidate !== undefined)
    .sort((a, b) => a.waitMs - b.waitMs);
  const chosen = worthiest(candidates, pace);
  if (chosen.length === 0) return undefined;
  const affordableMs =
    Math.min(...chosen.map(({ prospect }) => prospect.sequence.credit ?? 0)) * chosen.length;
  const ms = Math.min(affordableMs, ...chosen.map(({ giveUpMs }) => giveUpMs));
  if (ms <= 0 || affordableMs < chosen[chosen.length - 1]!.waitMs) return undefined;
  const waiters = chosen.map(({ prospect: { sequence, have }, giveUpMs }) => ({
    sequence,
    have,
    giveUpAt: now + giveUpMs,
  }));
  return { since: now, until: now + ms, waiters };
}

/** Pays for a wait up to `now`: those who were waited for share what it cost. A wait in vain is remembered. */
export function payHold({ waiters, since }: Hold, now: number): void {
  for (const { sequence, have, giveUpAt } of waiters) {
    sequence.credit = (sequence.credit ?? 0) - (now - since) / waiters.length;
    if (now >= giveUpAt && sequence.hintsAtHand <= have) sequence.arrivals.missed(have);
  }
}

class StepCosts {
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

function prospectOf(sequence: Sequence, now: number): Prospect {
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
function paceAtOnce(prospects: readonly Prospect[], steps: StepCosts): number {
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
function bestWait(prospect: Prospect, pace: number, steps: StepCosts): Candidate | undefined {
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

/** Of the candidates, soonest first, those to wait for: all up to the one where the whole is worth most. */
function worthiest(candidates: readonly Candidate[], pace: number): readonly Candidate[] {
  let gain = 0;
  let most = LEAST_WORTH;
  let count = 0;
  candidates.forEach((candidate, i) => {
    gain += candidate.gain;
    const whole = gain - pace * candidate.waitMs;
    if (whole > most) [most, count] = [whole, i + 1];
  });
  return candidates.slice(0, count);
}

function add(total: Outcome, { tokens, ms }: Outcome): void {
  total.tokens += tokens;
  total.ms += ms;
}

const worth = ({ tokens, ms }: Outcome, pace: number): number => tokens - pace * ms;
const product = (rates: readonly number[], count: number): number =>
  rates.slice(0, count).reduce((all, rate) => all * rate, 1);
