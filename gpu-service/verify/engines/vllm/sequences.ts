/**
 * The sequences of one vLLM process, seen from here: the frames' contract.
 *
 * vLLM plans steps and keeps keys and values; what it does not know is kept here: which sequences may start, who waits
 * for a slot, what a text's end is, and what hints were worth to the edge. Hints go on at once: the process binds them
 * when it plans a step.
 */
import type { VerifierFrame } from "../../../protocol/frames.ts";
import { Acceptance } from "../../scheduler/acceptance.ts";
import { knownIds, refuseStart } from "../../scheduler/admission.ts";
import { Queue } from "../../scheduler/queue.ts";
import { Sequence } from "../../scheduler/sequence.ts";
import type { Engine, EngineInfo, EngineInput, EngineListener, StartFrame, StepReport } from "../engine.ts";
import { openedFrame, settle, startMessage, Tally } from "./frames.ts";
import type { FromProcess, Part } from "./messages.ts";
import type { VllmProcess } from "./process.ts";

/** How often those that wait for a slot are looked at. */
const EXPIRE_MS = 500;

export type Bounds = { slots: number; queueLimit: number; queueTimeoutMs: number };

export class Sequences implements Engine {
  readonly info: EngineInfo;
  readonly #process: VllmProcess;
  readonly #options: Bounds;
  readonly #listener: EngineListener;
  readonly #queue: Queue;
  readonly #active = new Map<number, Sequence>();
  readonly #expiry: NodeJS.Timeout;
  readonly #prior = new Acceptance();
  #outbox: VerifierFrame[] = [];

  constructor(process: VllmProcess, info: EngineInfo, options: Bounds, listener: EngineListener) {
    this.#process = process;
    this.info = info;
    this.#options = options;
    this.#listener = listener;
    this.#queue = new Queue(options.queueLimit, options.queueTimeoutMs);
    this.#expiry = setInterval(() => this.#turn(), EXPIRE_MS);
  }

  send(input: EngineInput): void {
    switch (input.type) {
      case "start":
        this.#enqueue(input);
        break;
      case "hint": {
        const isWanted = this.#find(input.stream)?.start.drafts;
        const hint = isWanted ? knownIds(input, this.info.vocabSize) : undefined;
        if (hint && this.#active.has(input.stream)) this.#process.send(hint);
        break;
      }
      case "cancel": {
        const sequence = this.#find(input.stream);
        if (!sequence) return;
        if (this.#active.has(input.stream)) this.#process.send(input);
        this.#finish(sequence, "cancelled");
      }
    }
    this.#turn();
  }

  async close(): Promise<void> {
    clearInterval(this.#expiry);
    await this.#process.close();
  }

  hear(message: FromProcess): void {
    switch (message.type) {
      case "opened": {
        const sequence = this.#active.get(message.stream);
        if (!sequence) break;
        sequence.cachedTokens = Math.min(message.cached, sequence.start.prompt.length);
        // With prompt_logprobs, `opened` brings them: it goes out when they are there.
        if (sequence.start.prompt_logprobs === undefined) this.#open(sequence);
        break;
      }
      case "turn":
        this.#turn(this.#settle(message));
        return;
      case "refused":
        this.#refuse(message.stream, message.message);
        break;
      case "failed":
        this.lost(message.reason);
        return;
    }
    this.#turn();
  }

  lost(reason: string): void {
    clearInterval(this.#expiry);
    this.#listener.failed(reason);
  }

  #enqueue(start: StartFrame): void {
    const refusal =
      this.#queue.refuse(this.#options.slots - this.#active.size) ?? refuseStart(start, this.info);
    if (refusal) this.#outbox.push({ type: "error", stream: start.stream, ...refusal });
    else this.#queue.push(new Sequence(start, this.info.context, this.#prior, performance.now()));
  }

  /** Those that waited too long go, those for whom there is a slot start, and what there is to say is said. */
  #turn(report?: StepReport): void {
    this.#outbox.push(...this.#queue.expire(performance.now()));
    while (this.#queue.length > 0 && this.#active.size < this.#options.slots) {
      this.#start(this.#queue.takeNext([...this.#active.values()]));
    }
    const frames = this.#outbox;
    this.#outbox = [];
    if (frames.length === 0 && !report) return;
    const load = { active: this.#active.size, queued: this.#queue.length };
    this.#listener.turn({ frames, report, load, overrunMs: 0 });
  }

  #start(sequence: Sequence): void {
    const { start, stream } = sequence;
    sequence.admittedAt = performance.now();
    this.#active.set(stream, sequence);
    const isScored = start.prompt_logprobs !== undefined;
    // A text that has ended already (nothing to add, or confirmed to its end) needs no step.
    if (sequence.finish && !isScored) {
      this.#open(sequence);
      return;
    }
    this.#process.send(startMessage(sequence));
  }

  #open(sequence: Sequence, part?: Part): void {
    this.#outbox.push(openedFrame(sequence, this.info, part));
    if (sequence.finish) this.#finish(sequence, sequence.finish);
  }

  #settle({ ms, rows, parts }: Extract<FromProcess, { type: "turn" }>): StepReport {
    const tally = new Tally();
    for (const part of parts) {
      const sequence = this.#active.get(part.stream);
      if (!sequence) continue;
      if (part.prompt_logprobs) this.#open(sequence, part);
      if (!this.#active.has(part.stream)) continue;
      sequence.firstTokenAt ||= performance.now();
      const frames = settle(sequence, part);
      tally.add(part, frames);
      this.#outbox.push(...frames);
      if (sequence.finish) this.#finish(sequence, sequence.finish);
      else if (part.finished) this.#refuse(part.stream, "vLLM ended the text before its end");
    }
    return { ms, samplingMs: 0, slots: parts.length, rows, ...tally.sums };
  }

  #find(stream: number): Sequence | undefined {
    return this.#active.get(stream) ?? this.#queue.find(stream);
  }

  #finish(sequence: Sequence, reason: "stop" | "length" | "cancelled"): void {
    this.#outbox.push(sequence.done(reason, performance.now()));
    this.#active.delete(sequence.stream);
    this.#queue.remove(sequence);
  }

  #refuse(stream: number, message: string): void {
    if (!this.#active.delete(stream)) return;
    this.#outbox.push({
      type: "error",
      stream,
      code: "internal",
      message: `vllm: ${message}`,
      retryable: false,
    });
  }
}
