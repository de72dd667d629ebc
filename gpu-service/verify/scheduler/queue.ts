/** Sequences that wait for a slot: how many may, for how long, and who comes next. */
import type { ErrorFrame } from "../../protocol/frames.ts";
import type { Refusal } from "./admission.ts";
import type { Sequence } from "./sequence.ts";

export class Queue {
  /** Oldest first. */
  #waiting: Sequence[] = [];
  readonly #limit: number;
  readonly #timeoutMs: number;

  constructor(limit: number, timeoutMs: number) {
    this.#limit = limit;
    this.#timeoutMs = timeoutMs;
  }

  get length(): number {
    return this.#waiting.length;
  }

  /** Why no more may wait, or undefined; `freeSlots` are as good as taken by those who wait already. */
  refuse(freeSlots: number): Refusal | undefined {
    if (this.#waiting.length < this.#limit + freeSlots) return undefined;
    return { code: "overloaded", message: `queue: ${this.#limit} wait already`, retryable: true };
  }

  push(sequence: Sequence): void {
    this.#waiting.push(sequence);
  }

  find(stream: number): Sequence | undefined {
    return this.#waiting.find((sequence) => sequence.stream === stream);
  }

  remove(sequence: Sequence): void {
    this.#waiting = this.#waiting.filter((s) => s !== sequence);
  }

  /** Drops those that have waited too long; the errors that tell them so. */
  expire(now: number): ErrorFrame[] {
    const message = `queue: no slot within ${this.#timeoutMs} ms`;
    const errors: ErrorFrame[] = [];
    while (this.#waiting[0] && this.#waiting[0].queuedAt < now - this.#timeoutMs) {
      const { stream } = this.#waiting.shift()!;
      errors.push({ type: "error", stream, code: "overloaded", message, retryable: true });
    }
    return errors;
  }

  /** Takes the oldest of those whose tenant has the fewest running out of the queue, which must not be empty. */
  takeNext(active: readonly Sequence[]): Sequence {
    const running = new Map<string, number>();
    for (const { start } of active) running.set(start.tenant, (running.get(start.tenant) ?? 0) + 1);
    const runningOf = (sequence: Sequence) => running.get(sequence.start.tenant) ?? 0;
    const next = this.#waiting.reduce((best, s) => (runningOf(s) < runningOf(best) ? s : best));
    this.remove(next);
    return next;
  }
}
