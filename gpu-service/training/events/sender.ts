/** Tells the worker of every change of a job's state, again and again until it is taken (2xx). */
import { setTimeout as sleep } from "node:timers/promises";
import {
  JOB_EVENT_SIGNATURE,
  JOB_EVENTS_PATH,
  type JobEvent,
  signJobEvent,
} from "../../protocol/job-events.ts";
import type { Outbox } from "./outbox.ts";

const POLL_MS = 300;
const TIMEOUT_MS = 10_000;
/** Longer than a request may take: after that, another service may try. */
const LEASE_MS = 3 * TIMEOUT_MS;
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 60_000;
const STORE_RETRY_MS = 2_000;
/** A worker that was away for longer learns the states from the jobs themselves. */
const KEPT_MS = 7 * 86_400_000;

export type SenderParts = {
  outbox: Outbox;
  /** Base address of the worker. */
  edgeUrl: string;
  /** Signs the events: the training token. */
  token: string;
  fetch: typeof fetch;
  now: () => number;
  log: { warn(fields: object, text: string): void; error(fields: object, text: string): void };
};

export class EventSender {
  readonly #parts: SenderParts;
  readonly #closing = new AbortController();
  #loop: Promise<void> | undefined;

  constructor(parts: SenderParts) {
    this.#parts = parts;
  }

  start(): void {
    if (this.#loop) throw new Error("EventSender.start: called twice");
    this.#loop = this.#run();
  }

  /** What is not sent by then stays in the outbox. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#loop;
  }

  async #run(): Promise<void> {
    const { outbox, now, log } = this.#parts;
    while (!this.#closing.signal.aborted) {
      try {
        outbox.forgetBefore(new Date(now() - KEPT_MS));
        if (!(await this.#sendNext())) await this.#pause(POLL_MS);
      } catch (error) {
        log.error({ err: error }, "the outbox failed");
        await this.#pause(STORE_RETRY_MS);
      }
    }
  }

  /** Whether one was sent. */
  async #sendNext(): Promise<boolean> {
    const { outbox, now, log } = this.#parts;
    const waiting = outbox.take(now(), LEASE_MS);
    if (!waiting) return false;
    const problem = await this.#send(waiting.event);
    if (problem === null) {
      outbox.settle(waiting.number);
      return true;
    }
    const waitMs = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.min(waiting.tries, 20));
    outbox.postpone(waiting.number, now() + waitMs);
    log.warn({ event: waiting.event.id, again_ms: waitMs }, `event not taken: ${problem}`);
    return false;
  }

  /** Null when it was taken. */
  async #send(event: JobEvent): Promise<string | null> {
    const { edgeUrl, token } = this.#parts;
    const body = JSON.stringify(event);
    try {
      const response = await this.#parts.fetch(new URL(JOB_EVENTS_PATH, edgeUrl), {
        method: "POST",
        headers: {
          "content-type": "application/json",
          [JOB_EVENT_SIGNATURE]: await signJobEvent(body, token),
        },
        body,
        redirect: "error",
        signal: AbortSignal.any([AbortSignal.timeout(TIMEOUT_MS), this.#closing.signal]),
      });
      await response.body?.cancel();
      return response.ok ? null : `${edgeUrl} answered ${response.status}`;
    } catch (error) {
      return error instanceof Error ? `${error.message} ${error.cause ?? ""}`.trim() : String(error);
    }
  }

  #pause(ms: number): Promise<void> {
    return sleep(ms, undefined, { signal: this.#closing.signal }).catch(() => {});
  }
}
