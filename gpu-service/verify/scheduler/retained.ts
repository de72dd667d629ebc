/**
 * What ended sequences left behind: their ids and, opaque here, their cached keys and values.
 *
 * A new sequence of the same tenant may begin with the longest prefix that it shares with one of them. Tenants
 * never share: how fast a prompt is answered would tell one what another had asked. The least recently used goes
 * first when the budget is spent.
 */
export type Retained<T> = { tenant: string; ids: readonly number[]; value: T; bytes: number };
export type Match<T> = { entry: Retained<T>; length: number };

export class RetainedPrefixes<T> {
  /** Least recently used first. */
  #entries: Retained<T>[] = [];
  #bytes = 0;
  readonly #budgetBytes: number;
  readonly #leastIds: number;

  /** `leastIds`: shorter prefixes are not worth a copy. */
  constructor(budgetBytes: number, leastIds: number) {
    this.#budgetBytes = budgetBytes;
    this.#leastIds = leastIds;
  }

  /** Keeps an entry; returns the values that had to go for it, its own among them if it is over the budget alone. */
  keep(entry: Retained<T>): T[] {
    this.#entries.push(entry);
    this.#bytes += entry.bytes;
    const gone: T[] = [];
    while (this.#bytes > this.#budgetBytes) {
      const oldest = this.#entries[0]!;
      this.take(oldest);
      gone.push(oldest.value);
    }
    return gone;
  }

  /** The entry that shares the longest prefix with `ids`, their last id left out: it has to run in any case. */
  find(tenant: string, ids: readonly number[]): Match<T> | undefined {
    let best: Match<T> | undefined;
    for (const entry of this.#entries) {
      if (entry.tenant !== tenant) continue;
      const length = commonPrefix(entry.ids, ids, ids.length - 1);
      if (length >= this.#leastIds && length > (best?.length ?? 0)) best = { entry, length };
    }
    if (best) {
      this.#entries = this.#entries.filter((e) => e !== best.entry);
      this.#entries.push(best.entry);
    }
    return best;
  }

  /** Takes an entry out: its value is the caller's now. */
  take(entry: Retained<T>): void {
    const left = this.#entries.filter((e) => e !== entry);
    if (left.length === this.#entries.length) throw new Error("retained prefix: taken twice");
    this.#entries = left;
    this.#bytes -= entry.bytes;
  }
}

function commonPrefix(a: readonly number[], b: readonly number[], most: number): number {
  const end = Math.min(a.length, b.length, most);
  let length = 0;
  while (length < end && a[length] === b[length]) length++;
  return length;
}
