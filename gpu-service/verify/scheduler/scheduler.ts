/**
 * Continuous batching with hints: which sequences run in a step, with which rows, and what comes of it.
 *
 * Pure but for the clock and the model that are passed in. `accept` only notes what arrived; everything takes
 * effect between steps, so that nothing changes under a step that runs. Every ready sequence moves by at least
 * one token in every step; prompts are prefilled in chunks beside them.
 */
import type { VerifierFrame } from "../../protocol/frames.ts";
import { MAX_HINT_IDS } from "../../protocol/frames.ts";
import { logprobsOf } from "../../protocol/sampling.ts";
import type { EngineInput, StartFrame, StepReport } from "../engines/engine.ts";
import { Acceptance } from "./acceptance.ts";
import { knownIds, refuseStart } from "./admission.ts";
import { commitBlock, rounded } from "./commit.ts";
import type { CostTable } from "./cost.ts";
import type { Foretold } from "./hints.ts";
import type { SlotRows, StepLogits, TargetModel } from "./model.ts";
import { type Offer, planHintRows, WASTE_SHARE } from "./plan.ts";
import { Sequence } from "./sequence.ts";

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

/** Rows of a prompt in one step when nobody else waits for it; 64 keep a cancel's delay short. */
const PREFILL_ROWS = 64;
/** A prompt's chunk may make a step of the others at most this much longer. */
const PREFILL_SLOWDOWN = 2;
const LEAST_PREFILL_ROWS = 4;

/** One sequence's part in a step. `fresh` rows run anyway; `hinted` are tried after them. */
type Part = { sequence: Sequence; fresh: number; foretold: Foretold | undefined; hinted: readonly number[] };

export class Scheduler {
  readonly #model: TargetModel;
  readonly #options: SchedulerOptions;
  readonly #inbox: EngineInput[] = [];
  #queue: Sequence[] = [];
  #active: Sequence[] = [];
  #outbox: VerifierFrame[] = [];
  /** Acceptance over all sequences: what a new one begins with. */
  readonly #prior = new Acceptance();

  constructor(model: TargetModel, options: SchedulerOptions) {
    this.#model = model;
    this.#options = { ...options, slots: Math.min(options.slots, model.maxSlots) };
  }

  get idle(): boolean {
    return this.#inbox.length === 0 && this.#queue.length === 0 && this.#active.length === 0;
  }

  accept(input: EngineInput): void {
    this.#inbox.push(input);
  }

  /** Frames since the last call, in order. */
  takeFrames(): VerifierFrame[] {
    const frames = this.#outbox;
    this.#outbox = [];
    return frames;
  }

  /** Takes in what arrived and runs one step; undefined when there is nothing to run. Rejects if the model does. */
  async step(): Promise<StepReport | undefined> {
    for (const input of this.#inbox.splice(0)) this.#apply(input);
    this.#expireQueue();
    this.#admit();
    const parts = this.#plan();
    if (parts.length === 0) return undefined;
    const started = this.#options.now();
    const logits = await this.#model.run(parts.map(slotRows));
    const ran = this.#options.now();
    const report = this.#settle(parts, logits, ran);
    const ended = this.#options.now();
    return { ...report, ms: ended - started, samplingMs: ended - ran };
  }

  #apply(input: EngineInput): void {
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
        if (hint) sequence?.hints.add(hint, sequence.text);
      }
    }
  }

  #enqueue(start: StartFrame): void {
    const { queueLimit, now } = this.#options;
    const full = this.#queue.length >= queueLimit && this.#active.length >= this.#options.slots;
    const refusal = full
      ? { code: "overloaded" as const, message: `queue: ${queueLimit} wait already`, retryable: true }
      : refuseStart(start, this.#model);
    if (refusal) this.#outbox.push({ type: "error", stream: start.stream, ...refusal });
    else this.#queue.push(new Sequence(start, this.#model.context, this.#prior, now()));
  }

  #expireQueue(): void {
    const oldest = this.#options.now() - this.#options.queueTimeoutMs;
    const message = `queue: no slot within ${this.#options.queueTimeoutMs} ms`;
    while (this.#queue[0] && this.#queue[0].queuedAt < oldest) {
      const { stream } = this.#queue.shift()!;
      this.#outbox.push({ type: "error", stream, code: "overloaded", message, retryable: true });
    }
  }

  #admit(): void {
    while (this.#queue.length > 0 && this.#active.length < this.#options.slots) {
      const sequence = this.#queue.shift()!;
      sequence.admittedAt = this.#options.now();
      sequence.cache = this.#model.openCache();
      this.#active.push(sequence);
      if (!isScoring(sequence)) this.#open(sequence);
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
      cached_tokens: 0,
      numerics: this.#model.numerics,
      ...(start.prompt_logprobs === undefined ? {} : { prompt_logprobs: promptLogprobs }),
    });
    if (sequence.finish) this.#finish(sequence, sequence.finish);
  }

  #plan(): Part[] {
    const parts = this.#freshRows();
    if (parts.length === 0) return parts;
    const baseRows = parts.reduce((sum, part) => sum + part.fresh, 0);
    const offering = parts.filter((part) => part.foretold);
    const offers = offering.map((part) => this.#offer(part, parts.length, baseRows));
    const rows = planHintRows(offers, parts.length, baseRows, this.#options.costs);
    offering.forEach((part, i) => {
      part.hinted = part.foretold!.ids.slice(0, rows[i]);
    });
    return parts;
  }

  /** Rows that run whatever is hinted: the last token of every ready sequence, and chunks of prompts. */
  #freshRows(): Part[] {
    const ready = this.#active.filter((s) => pendingIds(s) === 1);
    let budget = this.#prefillBudget(ready.length);
    const parts: Part[] = [];
    for (const sequence of this.#active) {
      const pending = pendingIds(sequence);
      const fresh = pending === 1 ? 1 : Math.min(pending, budget);
      if (fresh === 0) continue;
      if (pending > 1) budget -= fresh;
      const most = fresh === pending ? Math.min(MAX_HINT_IDS, sequence.cap - sequence.outputTokens - 1) : 0;
      const foretold = most > 0 ? sequence.hints.next(sequence.text.length, most) : undefined;
      parts.push({ sequence, fresh, foretold, hinted: [] });
    }
    return parts;
  }

  #prefillBudget(ready: number): number {
    if (ready === 0) return PREFILL_ROWS;
    const { costs } = this.#options;
    const most = costs.ms(ready, ready) * PREFILL_SLOWDOWN;
    let rows = LEAST_PREFILL_ROWS;
    while (rows * 2 <= PREFILL_ROWS && costs.ms(ready + 1, ready + rows * 2) <= most) rows *= 2;
    return rows;
  }

  #offer(part: Part, slots: number, baseRows: number): Offer {
    const { sequence, foretold } = part;
    const { costs } = this.#options;
    sequence.credit ??= (costs.ms(slots, baseRows + 1) - costs.ms(slots, baseRows)) * 1.01;
    let chance = 1;
    const chances = foretold!.ids.map((_, place) => {
      chance *= sequence.acceptance.rate(foretold!.source, place);
      return chance;
    });
    return { chances, credit: sequence.credit };
  }

  /** Draws and commits each sequence's tokens, keeps its ledger, and lets the finished go. */
  #settle(parts: Part[], logits: StepLogits, now: number): Omit<StepReport, "ms" | "samplingMs"> {
    const rows = parts.reduce((sum, p) => sum + p.fresh + p.hinted.length, 0);
    const baseRows = parts.reduce((sum, p) => sum + p.fresh, 0);
    const report = { drafted: {} as Record<string, number>, accepted: {} as Record<string, number> };
    let tokens = 0;
    parts.forEach((part, slot) => {
      const { sequence, fresh, hinted } = part;
      sequence.steps++;
      const first = sequence.cache!.length - fresh - hinted.length;
      if (isScoring(sequence)) this.#score(sequence, first, fresh, (row) => logits.row(slot, row));
      if (sequence.finish || pendingIds(sequence) > 0) return;
      sequence.firstTokenAt ||= now;
      const at = sequence.text.length;
      const block = commitBlock(sequence, hinted, (k) => logits.row(slot, fresh - 1 + k));
      tokens += block.ids.length;
      this.#observe(part, block.ids, block.accepted, parts.length, baseRows, rows);
      if (part.foretold && hinted.length > 0) {
        const { source } = part.foretold;
        report.drafted[source] = (report.drafted[source] ?? 0) + hinted.length;
        report.accepted[source] = (report.accepted[source] ?? 0) + block.accepted;
      }
      this.#outbox.push({
        type: "tokens",
        stream: sequence.stream,
        at,
        ids: block.ids,
        accepted: block.accepted,
        ...(block.accepted > 0 ? { source: part.foretold!.source } : {}),
        ...(block.logprobs ? { logprobs: block.logprobs } : {}),
      });
      sequence.cache!.truncate(Math.min(sequence.cache!.length, sequence.text.length - 1));
      if (block.finish) this.#finish(sequence, block.finish);
    });
    const counts = { active: this.#active.length, queued: this.#queue.length };
    return { slots: parts.length, rows, tokens, ...counts, ...report };
  }

  /** Counts what the hint was worth. A row that did not run still shows whether its id was right. */
  #observe(part: Part, ids: number[], accepted: number, slots: number, baseRows: number, rows: number): void {
    const { sequence, foretold, hinted } = part;
    if (!foretold) return;
    for (let k = 0; k < Math.min(ids.length, foretold.ids.length); k++) {
      const came = foretold.ids[k] === ids[k];
      sequence.acceptance.observe(foretold.source, k, came);
      if (!came) break;
    }
    const { costs } = this.#options;
    const plainMs = costs.ms(slots, baseRows) / slots;
    const priceMs = costs.ms(slots, rows) - costs.ms(slots, rows - hinted.length);
    sequence.credit = sequence.credit! + plainMs * (accepted + WASTE_SHARE) - priceMs;
    if (hinted.length > 0) sequence.count(foretold.source, hinted.length, accepted);
  }

  /** Log probabilities of the prompt's ids that follow the rows just run; at the last one the sequence opens. */
  #score(sequence: Sequence, first: number, rows: number, row: (index: number) => Float32Array): void {
    const { prompt, prompt_logprobs } = sequence.start;
    for (let i = 0; i < rows && first + i + 1 < prompt.length; i++) {
      sequence.promptLogprobs.push(rounded(logprobsOf(row(i), prompt[first + i + 1]!, prompt_logprobs!)));
    }
    if (!isScoring(sequence)) this.#open(sequence);
  }

  #find(stream: number): Sequence | undefined {
    const same = (s: Sequence) => s.stream === stream;
    return this.#active.find(same) ?? this.#queue.find(same);
  }

  #finish(sequence: Sequence, reason: "stop" | "length" | "cancelled"): void {
    this.#outbox.push(sequence.done(reason, this.#options.now()));
    sequence.cache?.release();
    this.#active = this.#active.filter((s) => s !== sequence);
    this.#queue = this.#queue.filter((s) => s !== sequence);
  }
}

/** Ids of the text that are not in the cache yet; below zero where hint rows lie beyond the text. */
const pendingIds = (s: Sequence): number => s.text.length - (s.cache?.length ?? 0);

const isScoring = (s: Sequence): boolean =>
  s.start.prompt_logprobs !== undefined && s.promptLogprobs.length < s.start.prompt.length;

function slotRows({ sequence, fresh, hinted }: Part): SlotRows {
  const from = sequence.cache!.length;
  const whole = from + fresh === sequence.text.length;
  return {
    cache: sequence.cache!,
    ids: [...sequence.text.slice(from, from + fresh), ...hinted],
    firstLogitRow: isScoring(sequence) ? 0 : whole ? fresh - 1 : fresh,
  };
}
