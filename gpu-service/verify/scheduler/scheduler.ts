/**
 * Continuous batching with hints: which sequences run in a step, with which rows, and what comes of it.
 *
 * Pure but for the clock and the model that are passed in. `accept` only notes what arrived; everything takes
 * effect between steps, so that nothing changes under a step that runs. Every ready sequence moves by at least
 * one token in every step; prompts are prefilled in chunks beside them.
 */
import { MAX_HINT_IDS, type VerifierFrame } from "../../protocol/frames.ts";
import type { EngineInput, StartFrame, StepReport } from "../engines/engine.ts";
import { Acceptance } from "./acceptance.ts";
import { knownIds, refuseStart } from "./admission.ts";
import { type Batch, planBatch, slotRows } from "./batch.ts";
import type { CostTable } from "./cost.ts";
import { type Hold, payHold, worthwhileHold } from "./hold.ts";
import type { StepLogits, TargetModel } from "./model.ts";
import { Queue } from "./queue.ts";
import { Sequence } from "./sequence.ts";
import { scorePrompt, settlePart } from "./settle.ts";
import { Tally } from "./tally.ts";

export type SchedulerOptions = {
  /** Sequences that run at once; others wait. */
  slots: number;
  /** Sequences that may wait; more are refused as `overloaded`. */
  queueLimit: number;
  /** Longest wait in the queue, milliseconds. */
  queueTimeoutMs: number;
  costs: CostTable;
  /** Milliseconds, monotonic. */
  now: () => number;
};

export class Scheduler {
  readonly #model: TargetModel;
  readonly #options: SchedulerOptions;
  readonly #inbox: { input: EngineInput; at: number }[] = [];
  readonly #queue: Queue;
  #active: Sequence[] = [];
  #outbox: VerifierFrame[] = [];
  #hold: Hold | undefined;
  /** Acceptance over all sequences: what a new one begins with. */
  readonly #prior = new Acceptance();

  constructor(model: TargetModel, options: SchedulerOptions) {
    this.#model = model;
    this.#options = { ...options, slots: Math.min(options.slots, model.maxSlots) };
    this.#queue = new Queue(options.queueLimit, options.queueTimeoutMs);
  }

  get idle(): boolean {
    return this.#inbox.length === 0 && this.#queue.length === 0 && this.#active.length === 0;
  }

  /** Sequences that hold a slot, and those that wait for one. */
  get load(): { active: number; queued: number } {
    return { active: this.#active.length, queued: this.#queue.length };
  }

  /** No step runs before then unless something arrives, milliseconds of the scheduler's clock; undefined: at once. */
  get wakeAt(): number | undefined {
    return this.#hold?.until;
  }

  /** `at`: when it arrived, by the scheduler's clock; a step may have run since. */
  accept(input: EngineInput, at = this.#options.now()): void {
    this.#inbox.push({ input, at });
  }

  /** Frames since the last call, in order. */
  takeFrames(): VerifierFrame[] {
    const frames = this.#outbox;
    this.#outbox = [];
    return frames;
  }

  /**
   * Takes in what arrived and runs one step; undefined when there is nothing to run, or nothing before `wakeAt`
   * unless something arrives. Rejects if the model does.
   */
  async step(): Promise<StepReport | undefined> {
    for (const { input, at } of this.#inbox.splice(0)) this.#apply(input, at);
    this.#outbox.push(...this.#queue.expire(this.#options.now()));
    this.#admit();
    this.#settleHold();
    if (this.#hold) return undefined;
    const batch = planBatch(this.#active, this.#options.costs);
    if (batch.parts.length === 0) return undefined;
    const started = this.#options.now();
    const logits = await this.#model.run(batch.parts.map(slotRows));
    const ran = this.#options.now();
    const outcome = this.#settle(batch, logits, ran);
    const ended = this.#options.now();
    this.#options.costs.observe(batch.parts.length, batch.whole.rows, batch.whole.past, ran - started);
    return { ...outcome, ms: ended - started, samplingMs: ended - ran };
  }

  #apply(input: EngineInput, at: number): void {
    switch (input.type) {
      case "start":
        this.#enqueue(input);
        break;
      case "cancel": {
        const sequence = this.#find(input.stream);
        if (sequence) this.#finish(sequence, "cancelled");
        break;
      }
      case "hint": {
        const sequence = this.#find(input.stream);
        const hint = sequence?.start.drafts ? knownIds(input, this.#model.vocabSize) : undefined;
        if (hint) sequence?.takeHint(hint, at, this.#hold !== undefined);
      }
    }
  }

  /** Pays for the wait so far, and sees whether to wait on. */
  #settleHold(): void {
    const now = this.#options.now();
    if (this.#hold) payHold(this.#hold, now);
    this.#hold = worthwhileHold(this.#active, this.#options.costs, now);
  }

  #enqueue(start: StartFrame): void {
    const { slots, now } = this.#options;
    // Those that wait for the next turn only are not yet in the slots that are free for them.
    const refusal = this.#queue.refuse(slots - this.#active.length) ?? refuseStart(start, this.#model);
    if (refusal) this.#outbox.push({ type: "error", stream: start.stream, ...refusal });
    else this.#queue.push(new Sequence(start, this.#model.context, this.#prior, now()));
  }

  #admit(): void {
    while (this.#queue.length > 0 && this.#active.length < this.#options.slots) {
      const sequence = this.#queue.takeNext(this.#active);
      sequence.admittedAt = this.#options.now();
      // A scored prompt has to run whole: its log probabilities are not kept.
      const room = sequence.start.prompt.length + sequence.cap;
      sequence.cache = this.#model.openCache(sequence.isScoring ? undefined : sequence.owner, room);
      sequence.cachedTokens = Math.min(sequence.cache.length, sequence.start.prompt.length);
      this.#active.push(sequence);
      if (!sequence.isScoring) this.#open(sequence);
    }
  }

  /** Says `opened`; a text that has ended already (nothing to add, or confirmed to its end) is done with it. */
  #open(sequence: Sequence): void {
    const { start, promptLogprobs } = sequence;
    this.#outbox.push({
      type: "opened",
      stream: sequence.stream,
      limits: { hint_ids: MAX_HINT_IDS, context: this.#model.context },
      prompt_tokens: start.prompt.length,
      cached_tokens: sequence.cachedTokens,
      numerics: this.#model.numerics,
      ...(start.prompt_logprobs === undefined ? {} : { prompt_logprobs: promptLogprobs }),
    });
    if (sequence.finish) this.#finish(sequence, sequence.finish);
  }

  /** Takes each sequence's tokens and lets the finished go. */
  #settle(batch: Batch, logits: StepLogits, now: number): Omit<StepReport, "ms" | "samplingMs"> {
    const tally = new Tally();
    batch.parts.forEach((part, slot) => {
      const { sequence, fresh, hinted, foretold } = part;
      const row = (index: number) => logits.row(slot, index);
      sequence.steps++;
      if (sequence.isScoring) {
        scorePrompt(sequence, sequence.cache!.length - fresh - hinted.length, fresh, row);
        if (!sequence.isScoring) this.#open(sequence);
      }
      const frames = settlePart(part, batch, this.#options.costs, row);
      if (frames.length === 0) return;
      sequence.settled(now);
      sequence.firstTokenAt ||= now;
      tally.add(foretold?.sources.slice(0, hinted.length) ?? [], frames);
      this.#outbox.push(...frames);
      if (sequence.finish) this.#finish(sequence, sequence.finish);
    });
    return { slots: batch.parts.length, rows: batch.whole.rows, ...tally.counts };
  }

  #find(stream: number): Sequence | undefined {
    const same = (s: Sequence) => s.stream === stream;
    return this.#active.find(same) ?? this.#queue.find(stream);
  }

  #finish(sequence: Sequence, reason: "stop" | "length" | "cancelled"): void {
    this.#outbox.push(sequence.done(reason, this.#options.now()));
    sequence.cache?.release(sequence.owner);
    this.#active = this.#active.filter((s) => s !== sequence);
    this.#queue.remove(sequence);
  }
}
