/** Values pushed by a callback, pulled by a loop, in order. */
export class Queue<T> {
  readonly #values: T[] = [];
  #waiting: ((value: T) => void) | undefined;

  push(value: T): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting) waiting(value);
    else this.#values.push(value);
  }

  /** The next value; waits for it. One caller at a time. */
  next(): Promise<T> {
    if (this.#waiting) throw new Error("queue: two callers wait at once");
    if (this.#values.length > 0) return Promise.resolve(this.#values.shift()!);
    return new Promise((resolve) => {
      this.#waiting = resolve;
    });
  }
}
