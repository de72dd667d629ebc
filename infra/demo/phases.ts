/** Where a demonstration's time goes: phases, one behind the other. */
export type Phase = { phase: string; seconds: number };

export class Phases {
  readonly done: Phase[] = [];
  readonly #now: () => number;
  readonly #say: (line: string) => void;
  readonly #began: number;
  #last: number;

  /** `now`: milliseconds. */
  constructor(now: () => number, say: (line: string) => void) {
    this.#now = now;
    this.#say = say;
    this.#began = this.#last = now();
  }

  /** What went on since the phase before has ended is this one; `told`: what came of it. */
  end(phase: string, told?: string): void {
    const now = this.#now();
    const seconds = Math.round((now - this.#last) / 100) / 10;
    this.#last = now;
    this.done.push({ phase, seconds });
    this.#say(`${phase}: ${seconds.toFixed(1)} s${told === undefined ? "" : `; ${told}`}`);
  }

  get minutes(): number {
    return (this.#last - this.#began) / 60_000;
  }
}
