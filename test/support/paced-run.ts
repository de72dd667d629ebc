/**
 * The real scheduler on a virtual clock: a target paced by a cost table, edges that draft, a network with a delay.
 * What a run takes is what the whole system would take, but for the time that anything but these three needs.
 */
import type { VerifierFrame } from "../../gpu-service/protocol/frames.ts";
import { type CostPoint, CostTable } from "../../gpu-service/verify/scheduler/cost.ts";
import { Scheduler } from "../../gpu-service/verify/scheduler/scheduler.ts";
import { type EdgeSettings, PacedEdge } from "./paced-edge.ts";
import { PacedTarget } from "./paced-target.ts";
import { startFrame } from "./sequences.ts";

export type PacedSettings = Omit<EdgeSettings, "seed"> & {
  seed: number;
  rttMs: number;
  draftMs: number;
  tokens: number;
  sessions: number;
  drafts: boolean;
  costs: readonly CostPoint[];
};

/** A 7B target on a data-centre GPU: 25 ms a step and 3% for each further row, however they are spread. */
export const GPU_COSTS: readonly CostPoint[] = [1, 2, 4, 8, 16].flatMap((slots) =>
  [slots, 128].map((rows) => ({ slots, rows, ms: 25 + 0.75 * (rows - 1) })),
);

export const PACED: PacedSettings = {
  alpha: 0.8,
  branchHit: 0.4,
  ahead: 48,
  seed: 1,
  rttMs: 0,
  draftMs: 1,
  tokens: 128,
  sessions: 1,
  drafts: true,
  costs: GPU_COSTS,
};

export type PacedResult = { ms: number; steps: number; tokens: number };

/** Milliseconds from the start to the last token at the edge. */
export async function pacedRun(changes: Partial<PacedSettings>): Promise<PacedResult> {
  const settings = { ...PACED, ...changes };
  const clock = new VirtualClock();
  const truth = new CostTable(settings.costs);
  const target = new PacedTarget(settings.sessions, (slots, rows) =>
    clock.runUntil(clock.now + truth.ms(slots, rows)),
  );
  const scheduler = new Scheduler(target, {
    slots: settings.sessions,
    queueLimit: 0,
    queueTimeoutMs: 1e9,
    costs: new CostTable(settings.costs),
    now: () => clock.now,
  });
  const oneWay = settings.rttMs / 2;
  const edges = Array.from({ length: settings.sessions }, (_, i) => {
    const prompt = [i + 1];
    scheduler.accept(startFrame(i + 1, prompt, { max_tokens: settings.tokens, drafts: settings.drafts }));
    return new PacedEdge(i + 1, prompt, settings.tokens, { ...settings, seed: settings.seed * 1000 + i });
  });
  const ended = new Set<number>();
  const drafting = (edge: PacedEdge, stream: number) => {
    if (ended.has(stream)) return;
    const hint = edge.draft();
    if (hint?.type === "hint") clock.at(clock.now + oneWay, () => scheduler.accept(hint, clock.now));
    clock.at(clock.now + settings.draftMs, () => drafting(edge, stream));
  };
  if (settings.drafts) {
    edges.forEach((edge, i) => {
      clock.at(oneWay + settings.draftMs, () => drafting(edge, i + 1));
    });
  }
  let tokens = 0;
  let last = 0;
  const deliver = (frame: VerifierFrame) => {
    if (frame.type === "done") ended.add(frame.stream);
    if (frame.type !== "tokens") return;
    tokens += frame.ids.length;
    last = clock.now + oneWay;
    clock.at(last, () => edges[frame.stream - 1]!.confirm(frame.at + frame.ids.length));
  };
  while (!scheduler.idle) {
    const report = await scheduler.step();
    scheduler.takeFrames().forEach(deliver);
    if (!report) clock.runToNext(scheduler.wakeAt);
  }
  return { ms: last, steps: target.steps, tokens };
}

/** Speed of a run over the same without drafts, over `seeds` texts. */
export async function pacedSpeedup(changes: Partial<PacedSettings>, seeds = 12): Promise<number> {
  let plain = 0;
  let drafted = 0;
  for (let seed = 1; seed <= seeds; seed++) {
    plain += (await pacedRun({ ...changes, seed, drafts: false })).ms;
    drafted += (await pacedRun({ ...changes, seed })).ms;
  }
  return plain / drafted;
}

class VirtualClock {
  now = 0;
  #events: { time: number; act: () => void }[] = [];

  at(time: number, act: () => void): void {
    let i = this.#events.length;
    while (i > 0 && this.#events[i - 1]!.time > time) i--;
    this.#events.splice(i, 0, { time, act });
  }

  /** Lets time pass up to `time` and whatever falls into it happen. */
  runUntil(time: number): void {
    while (this.#events[0] && this.#events[0].time <= time) this.#next();
    this.now = time;
  }

  /** To the next event, or to `time` if that comes first. */
  runToNext(time = Number.POSITIVE_INFINITY): void {
    if (this.#events[0] && this.#events[0].time <= time) this.#next();
    else if (time < Number.POSITIVE_INFINITY) this.now = time;
    else throw new Error("nothing will ever happen");
  }

  #next(): void {
    const { time, act } = this.#events.shift()!;
    this.now = Math.max(this.now, time);
    act();
  }
}
