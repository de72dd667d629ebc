/**
 * The sequences of one vLLM process, seen from here: the frames' contract.
 *
 * vLLM plans steps and keeps keys and values; what it does not know is kept here: which sequences may start, who waits
 * for a slot, what a text's end is, and what hints were worth to the edge. Hints go on at once: the process binds them
 * when it plans a step.
 */
import { MAX_HINT_IDS, type VerifierFrame } from "../../../protocol/frames.ts";
import { Acceptance } from "../../scheduler/acceptance.ts";
import { knownIds, refuseStart } from "../../scheduler/admission.ts";
import { Queue } from "../../scheduler/queue.ts";
import { Sequence } from "../../scheduler/sequence.ts";
import type { Engine, EngineInfo, EngineInput, EngineListener, StartFrame, StepReport } from "../engine.ts";
import { promptEntries, settle } from "./frames.ts";
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
    const { start, text, stream } = sequence;
    sequence.admittedAt = performance.now();
    this.#active.set(stream, sequence);
    const isScored = start.prompt_logprobs !== undefined;
    // A text that has ended already (nothing to add, or confirmed to its end) needs no step.
    if (sequence.finish && !isScored) {
      this.#open(sequence);
      return;
    }
    this.#process.send({
      type: "start",
      stream,
      ids: text,
      // vLLM draws at least one id; where none is wanted it is not taken.
      max_tokens: Math.max(1, sequence.cap - sequence.outputTokens),
      stop_ids: start.stop_ids,
      logprobs: start.logprobs,
      prompt_logprobs: start.prompt_logprobs,
      drafts: start.drafts,
      tenant: start.tenant,
      sampling: { ...start.sampling, confirmed: sequence.outputTokens },
    });
  }

  #open(sequence: Sequence, part?: Part): void {
    const { stream, start, cachedTokens } = sequence;
    const { length } = start.prompt;
    const top = start.prompt_logprobs;
    this.#outbox.push({
      type: "opened",
      stream,
      limits: { hint_ids: MAX_HINT_IDS, context: this.info.context },
      prompt_tokens: length,
      cached_tokens: cachedTokens,
      numerics: this.info.numerics,
      ...(top === undefined || !part ? {} : { prompt_logprobs: promptEntries(part, length, top) }),
    });
    if (sequence.finish) this.#finish(sequence, sequence.finish);
  }

  #settle({ ms, rows, parts }: Extract<FromProcess, { type: "turn" }>): StepReport {
    const drafted: Record<string, number> = {};
    const accepted: Record<string, number> = {};
    let tokens = 0;
    for (const part of parts) {
      const sequence = this.#active.get(part.stream);
      if (!sequence) continue;
      if (part.prompt_logprobs) this.#open(sequence, part);
      if (!this.#active.has(part.stream)) continue;
      sequence.firstTokenAt ||= performance.now();
      for (const source of part.drafted) drafted[source] = (drafted[source] ?? 0) + 1;
      for (const frame of settle(sequence, part)) {
        tokens += frame.ids.length;
        if (frame.source) accepted[frame.source] = (accepted[frame.source] ?? 0) + frame.accepted;
        this.#outbox.push(frame);
      }
      if (sequence.finish) this.#finish(sequence, sequence.finish);
      else if (part.finished) this.#refuse(part.stream, "vLLM ended the text before its end");
    }
    return { ms, samplingMs: 0, slots: parts.length, rows, tokens, drafted, accepted };
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
