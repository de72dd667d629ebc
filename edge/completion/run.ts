/** One completion while it runs, on one replica after the other. */
import type { Drafter } from "../drafting/drafter.ts";
import { LinkError, type Sequence, type SequenceEvent, type VerifierLink } from "../link/link.ts";
import type { Failure } from "./failure.ts";
import { type CompletionEvent, type CompletionJob, sequenceRequest } from "./job.ts";
import { Queue } from "./queue.ts";
import { Report } from "./report.ts";
import { Writing } from "./writing.ts";

type Signalled = SequenceEvent | { type: "aborted" };

export class Run {
  lastLoss: Failure = { kind: "unreachable", message: "no verifier is configured" };
  /** The replica that refused last: another way to it would not help. */
  refusedBy: string | undefined;
  readonly #job: CompletionJob;
  readonly #drafter: Drafter | undefined;
  readonly #writing: Writing;
  readonly #onAbort: () => void;
  #events = new Queue<Signalled>();
  #sequence: Sequence | undefined;
  #report = new Report();
  #numerics: string | undefined;
  /** The replica at work has taken the sequence. */
  #opened = false;
  #closed = false;

  constructor(job: CompletionJob, drafter: Drafter | undefined) {
    this.#job = job;
    this.#drafter = drafter;
    this.#writing = new Writing(job, drafter);
    this.#onAbort = () => {
      this.close();
      this.#events.push({ type: "aborted" });
    };
    job.signal.addEventListener("abort", this.#onAbort);
  }

  /** Releases the verifier and the drafter. May be called twice. */
  close(): void {
    // Here, not where the events end: nobody pulls them once the client has left.
    if (!this.#closed) this.#job.remember?.(this.#writing.ids);
    this.#closed = true;
    this.#drafter?.stop();
    this.#letGo();
    this.#job.signal.removeEventListener("abort", this.#onAbort);
  }

  /** Nobody waits for the verifier's account, but who keeps the books hears it. */
  #letGo(): void {
    const sequence = this.#sequence;
    const { account } = this.#job;
    if (!sequence) return;
    this.#sequence = undefined;
    sequence.cancel();
    if (account && this.#opened) {
      const report = this.#report.arrival().finally(() => sequence.close());
      account(report, this.#writing.ids);
    } else sequence.close();
  }

  /** Whether a replica that had taken the sequence broke off: it may be there again. */
  get brokeOff(): boolean {
    return this.#opened && this.lastLoss.kind === "unreachable";
  }

  /** Runs on one replica. Returns true if it was lost and the next one may carry on. */
  async *on(link: VerifierLink): AsyncGenerator<CompletionEvent, boolean> {
    if (this.#job.signal.aborted) {
      yield { type: "failed", failure: { kind: "aborted" } };
      return false;
    }
    this.#opened = false;
    if (!(await this.#open(link))) return true;
    for (;;) {
      const event = await this.#events.next();
      switch (event.type) {
        case "opened": {
          const resumed = this.#numerics !== undefined;
          this.#opened = true;
          this.#numerics = event.numerics;
          if (!resumed) yield { type: "opened", opened: event };
          break;
        }
        case "tokens": {
          const failure = this.#writing.misplaced(event);
          if (failure) {
            yield { type: "failed", failure };
            return false;
          }
          const { deltas, finish } = this.#writing.commit(event);
          for (const delta of deltas) yield { type: "delta", ...delta };
          if (!finish) break;
          this.#sequence?.cancel();
          yield this.#writing.finished(finish, this.#job.wantsReport ? await this.#report.arrival() : null);
          return false;
        }
        case "done": {
          const { deltas, finish } = this.#writing.end();
          for (const delta of deltas) yield { type: "delta", ...delta };
          yield this.#writing.finished(finish ?? "length", event);
          return false;
        }
        case "error":
          this.lastLoss = { ...event, kind: "verifier" };
          this.refusedBy = link.name;
          // Another replica may still have the numerics under which the text began.
          if (event.retryable || event.code === "numerics_mismatch") return true;
          yield { type: "failed", failure: this.lastLoss };
          return false;
        case "broken":
          this.lastLoss = { kind: "unreachable", message: event.message };
          return true;
        case "aborted":
          yield { type: "failed", failure: { kind: "aborted" } };
          return false;
      }
    }
  }

  async #open(link: VerifierLink): Promise<boolean> {
    const events = new Queue<Signalled>();
    const report = new Report();
    this.#events = events;
    this.#report = report;
    if (this.#job.signal.aborted) events.push({ type: "aborted" });
    try {
      const request = sequenceRequest(this.#job, {
        confirmed: this.#writing.ids,
        numerics: this.#numerics,
        drafts: this.#drafter !== undefined,
      });
      this.#sequence = await link.open(request, (event) => {
        report.hear(event);
        events.push(event);
      });
    } catch (error) {
      if (!(error instanceof LinkError)) throw error;
      this.lastLoss = { kind: "unreachable", message: error.message };
      return false;
    }
    if (this.#job.signal.aborted) this.close();
    const sequence = this.#sequence;
    this.#drafter?.start((hint) => sequence.hint(hint));
    return true;
  }
}
