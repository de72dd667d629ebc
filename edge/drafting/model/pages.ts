/**
 * The pages of one KV pool, shared by the sequences of an engine. A page holds a fixed number of positions.
 *
 * Free pages may still hold what closed sequences computed: a later sequence of the same tenant whose ids begin alike
 * takes it over. Such caches are given up, the oldest first, as soon as someone needs their pages.
 *
 * Ids beyond a window's length are seen from the window's first id on, so a cache serves texts that fit one window:
 * what a longer text begins with is not looked at by the draft at all, and the window bounds what it computes anew.
 */

/** A closed sequence's cache: the keys and values of `ids` lie in `pages`, in order, from model position 0 on. */
export type ParkedCache = {
  readonly tenant: string;
  readonly ids: readonly number[];
  readonly pages: readonly number[];
};
/** Less in common than this is computed again sooner than it is looked for. */
const LEAST_COMMON = 16;

export class PagePool {
  readonly total: number;
  readonly #free: number[] = [];
  /** Oldest first. */
  readonly #parked: ParkedCache[] = [];

  /** `count` pages of `pageBytes` bytes from address `at`. */
  constructor(at: number, pageBytes: number, count: number) {
    this.total = count;
    for (let i = count - 1; i >= 0; i--) this.#free.push(at + i * pageBytes);
  }

  get free(): number {
    return this.#parked.reduce((sum, { pages }) => sum + pages.length, this.#free.length);
  }
  /** The address of a page, or undefined when all are taken. */
  take(): number | undefined {
    if (this.#free.length === 0) this.#free.push(...(this.#parked.shift()?.pages ?? []));
    return this.#free.pop();
  }
  give(page: number): void {
    this.#free.push(page);
  }

  /** Gives pages back with what they hold. */
  park(cache: ParkedCache): void {
    if (cache.ids.length < LEAST_COMMON) for (const page of cache.pages) this.give(page);
    else this.#parked.push(cache);
  }

  /** Takes the tenant's parked cache that has most ids in common with the beginning of `ids`: `count` of them. */
  adopt(tenant: string, ids: readonly number[]): { count: number; pages: readonly number[] } | undefined {
    let best: ParkedCache | undefined;
    let count = LEAST_COMMON - 1;
    for (const cache of this.#parked) {
      if (cache.tenant !== tenant) continue;
      const common = commonLength(cache.ids, ids);
      if (common > count) [best, count] = [cache, common];
    }
    if (!best) return undefined;
    this.#parked.splice(this.#parked.indexOf(best), 1);
    return { count, pages: best.pages };
  }
}

function commonLength(a: readonly number[], b: readonly number[]): number {
  const most = Math.min(a.length, b.length);
  let length = 0;
  while (length < most && a[length] === b[length]) length++;
  return length;
}
