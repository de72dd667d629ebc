/** The pages of one KV pool, shared by the sequences of an engine. A page holds a fixed number of positions. */
export class PagePool {
  readonly total: number;
  readonly #free: number[] = [];

  /** `count` pages of `pageBytes` bytes from address `at`. */
  constructor(at: number, pageBytes: number, count: number) {
    this.total = count;
    for (let i = count - 1; i >= 0; i--) this.#free.push(at + i * pageBytes);
  }

  get free(): number {
    return this.#free.length;
  }
  /** The address of a page, or undefined when all are taken. */
  take(): number | undefined {
    return this.#free.pop();
  }
  give(page: number): void {
    this.#free.push(page);
  }
}
