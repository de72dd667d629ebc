/**
 * Carries texts by calls that take a while to be answered: in order, those of one turn together, a few calls at once,
 * and what comes meanwhile with the next of them.
 */
const MAX_CALLS = 4;
/** What a text costs beside its characters. */
const OVERHEAD = 64;

export class Courier {
  readonly #call: (texts: string[]) => Promise<unknown>;
  readonly #lost: (reason: string) => void;
  readonly #limit: number;
  #waiting: string[] = [];
  #calls = 0;
  /** Characters that no call has confirmed yet. */
  #backlog = 0;
  #flushing = false;
  #whenDone: (() => void) | undefined;

  /** `limit`: characters that may be unconfirmed. `lost`: a call failed. */
  constructor(call: (texts: string[]) => Promise<unknown>, limit: number, lost: (reason: string) => void) {
    this.#call = call;
    this.#limit = limit;
    this.#lost = lost;
  }

  /** False, and the text is dropped, where more than the limit is unconfirmed. */
  push(text: string): boolean {
    if (this.#backlog > this.#limit) return false;
    this.#backlog += text.length + OVERHEAD;
    this.#waiting.push(text);
    if (!this.#flushing) {
      this.#flushing = true;
      queueMicrotask(() => {
        this.#flushing = false;
        this.#flush();
      });
    }
    return true;
  }

  /** Calls `then` once all that was pushed has been taken. */
  whenDone(then: () => void): void {
    this.#whenDone = then;
  }

  /** What waits is not sent any more. */
  drop(): void {
    this.#waiting = [];
  }

  #flush(): void {
    if (this.#waiting.length === 0 || this.#calls >= MAX_CALLS) return;
    const texts = this.#waiting;
    this.#waiting = [];
    this.#calls++;
    this.#call(texts).then(
      () => {
        this.#calls--;
        for (const text of texts) this.#backlog -= text.length + OVERHEAD;
        this.#flush();
        if (this.#calls === 0) this.#finish();
      },
      (error: unknown) => {
        this.#lost(error instanceof Error ? error.message : String(error));
        this.#finish();
      },
    );
  }
  #finish(): void {
    this.#whenDone?.();
    this.#whenDone = undefined;
  }
}
