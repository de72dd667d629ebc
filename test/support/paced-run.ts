/**
 * The real scheduler on a virtual clock: a target paced by a cost table, edges that draft, a network with a delay.
 * What a run takes is what the whole system would take, but for the time that anything but these three needs.
 */

import type { VerifierFrame } from "../../gpu-service/protocol/frames.ts";
import { type CostPoint, CostTable } from "../../gpu-service/verify/scheduler/cost.ts";
import { Scheduler } from "../../gpu-service/verify/scheduler/scheduler.ts";
import { Agenda } from "./agenda.ts";
import { GPU_COSTS } from "./costs.ts";
import { type EdgeSettings, PacedEdge } from "./paced-edge.ts";
import { PacedTarget } from "./paced-target.ts";
import { startFrame } from "./sequences.ts";

export type PacedSettings = EdgeSettings & {
  rttMs: number;
  draftMs: number;
  tokens: number;
  sessions: number;
  /** Texts of each session, one after the other. */
  texts: number;
  drafts: boolean;
  /** Ids of a prompt that comes from elsewhere in the middle of it all; 0: none. */
  latePromptIds: number;
  costs: readonly CostPoint[];
};

export const PACED: PacedSettings = {
  alpha: 0.8,
  branchHit: 0.4,
  ahead: 48,
  source: "model",
  seed: 1,
  rttMs: 0,
  draftMs: 1,
  tokens: 128,
  sessions: 1,
  texts: 1,
  drafts: true,
  latePromptIds: 0,
  costs: GPU_COSTS,
};

/**
 * Until the first session has its last token: milliseconds, tokens of all sessions, and the longest time between two
 * of one text.
 */
export type PacedResult = { ms: number; tokens: number; longestGapMs: number };
const LATE_PROMPT_AT_MS = 500;

export async function pacedRun(changes: Partial<PacedSettings>): Promise<PacedResult> {
  return new PacedRun({ ...PACED, ...changes }).result();
}

/** Sessions that ask for one text after the other, all of them busy to the end. */
class PacedRun {
  readonly #settings: PacedSettings;
  readonly #clock = new VirtualClock();
  readonly #scheduler: Scheduler;
  readonly #edges = new Map<number, PacedEdge>();
  /** Texts that the session of a stream has still to ask for, the stream's own included. */
  readonly #textsLeft = new Map<number, number>();
  #streams = 0;
  #tokens = 0;
  #endedAt: number | undefined;
  readonly #lastAt = new Map<number, number>();
  #longestGapMs = 0;

  constructor(settings: PacedSettings) {
    this.#settings = settings;
    const truth = new CostTable(settings.costs);
    const sessions = settings.sessions + (settings.latePromptIds > 0 ? 1 : 0);
    const clock = this.#clock;
    const target = new PacedTarget(sessions, (slots, rows) =>
      clock.runUntil(clock.now + truth.ms(slots, rows)),
    );
    this.#scheduler = new Scheduler(target, {
      slots: sessions,
      queueLimit: sessions,
      queueTimeoutMs: 1e9,
      costs: new CostTable(settings.costs),
      now: () => clock.now,
    });
    for (let session = 0; session < settings.sessions; session++) this.#begin(settings.texts);
    if (settings.latePromptIds > 0)
      clock.at(LATE_PROMPT_AT_MS, () => this.#beginLate(settings.latePromptIds));
  }

  async result(): Promise<PacedResult> {
    while (this.#endedAt === undefined) {
      const report = await this.#scheduler.step();
      for (const frame of this.#scheduler.takeFrames()) this.#deliver(frame);
      if (!report && this.#endedAt === undefined) this.#clock.runToNext(this.#scheduler.wakeAt);
    }
    return { ms: this.#endedAt, tokens: this.#tokens, longestGapMs: this.#longestGapMs };
  }

  /** `texts`: how many are left to this session, this one included. */
  #begin(texts: number): void {
    const { tokens, drafts, rttMs, draftMs, seed } = this.#settings;
    const stream = ++this.#streams;
    const prompt = [stream];
    this.#scheduler.accept(startFrame(stream, prompt, { max_tokens: tokens, drafts }));
    const edge = new PacedEdge(stream, prompt, tokens, { ...this.#settings, seed: seed * 1000 + stream });
    this.#edges.set(stream, edge);
    this.#textsLeft.set(stream, texts);
    if (drafts) this.#clock.at(this.#clock.now + rttMs / 2 + draftMs, () => this.#draft(stream, edge));
  }

  /** A long prompt, and nobody who drafts for it. */
  #beginLate(ids: number): void {
    const prompt = Array.from({ length: ids }, (_, i) => i % 50);
    this.#scheduler.accept(startFrame(++this.#streams, prompt, { max_tokens: 4, tenant: "other" }));
  }

  #draft(stream: number, edge: PacedEdge): void {
    if (!this.#edges.has(stream)) return;
    const { rttMs, draftMs } = this.#settings;
    const clock = this.#clock;
    const hint = edge.draft();
    if (hint) clock.at(clock.now + rttMs / 2, () => this.#scheduler.accept(hint, clock.now));
    clock.at(clock.now + draftMs, () => this.#draft(stream, edge));
  }

  #deliver(frame: VerifierFrame): void {
    const edge = this.#edges.get(frame.stream);
    const { now } = this.#clock;
    if (frame.type === "tokens" && edge) {
      this.#tokens += frame.ids.length;
      this.#longestGapMs = Math.max(this.#longestGapMs, now - (this.#lastAt.get(frame.stream) ?? now));
      this.#lastAt.set(frame.stream, now);
      this.#clock.at(now + this.#settings.rttMs / 2, () => edge.confirm(frame.at + frame.ids.length));
    }
    if (frame.type !== "done") return;
    this.#edges.delete(frame.stream);
    const left = this.#textsLeft.get(frame.stream)! - 1;
    if (left > 0) this.#begin(left);
    else this.#endedAt ??= now + this.#settings.rttMs;
  }
}

/** Tokens per millisecond over those without drafts, over `seeds` texts. */
export async function pacedSpeedup(changes: Partial<PacedSettings>, seeds = 12): Promise<number> {
  const pace = async (more: Partial<PacedSettings>) => {
    let tokens = 0;
    let ms = 0;
    for (let seed = 1; seed <= seeds; seed++) {
      const result = await pacedRun({ ...changes, ...more, seed });
      tokens += result.tokens;
      ms += result.ms;
    }
    return tokens / ms;
  };
  return (await pace({ drafts: true })) / (await pace({ drafts: false }));
}

class VirtualClock extends Agenda {
  /** Lets time pass up to `time` and whatever falls into it happen. */
  runUntil(time: number): void {
    while (this.happen(time));
    this.passTo(time);
  }

  /** To the next event, or to `time` if that comes first. */
  runToNext(time = Number.POSITIVE_INFINITY): void {
    if (!this.happen(time)) this.passTo(time);
  }
}
