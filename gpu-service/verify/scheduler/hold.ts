/**
 * The hint-wait: whether the next step is better held back until hints are there that are on their way.
 *
 * A step that starts at once brings a sequence without hints one token, and of the hints that arrive meanwhile those
 * after the first, if the first was right. A step that waits brings the first as well, for the time it waits. Both
 * are compared by expected tokens at the pace (tokens per millisecond) of starting at once: at that pace starting at
 * once is worth nothing, so that a wait of positive worth is the faster way.
 * A wait holds up everybody, so it has to be worth it for all together. Where others have much to do, it never is.
 */
import type { CostTable } from "./cost.ts";
import { bestWait, type Candidate, paceAtOnce, prospectOf, StepCosts } from "./prospect.ts";
import type { Sequence } from "./sequence.ts";

/** A wait has to promise so many tokens: times vary, and an idle moment is certain. */
const LEAST_WORTH = 0.02;

/** Whose hints are waited for: `have` of them are there, the others are given up at `giveUpAt`. */
type Waiter = { sequence: Sequence; have: number; giveUpAt: number };
/** Times by the scheduler's clock. */
export type Hold = { since: number; until: number; waiters: readonly Waiter[] };

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
