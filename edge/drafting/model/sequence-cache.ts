/**
 * The keys and values of one sequence's first ids, in pages of the engine's pool. With a tenant it may begin with what
 * an earlier sequence of that tenant left, and leaves its own.
 */
import type { PagePool } from "./pages.ts";

export class SequenceCache {
  readonly #pool: PagePool;
  readonly #pagePositions: number;
  readonly #tenant: string | undefined;
  /** How many of the sequence's ids are computed: 0 to `computed` − 1 are in the cache. */
  computed = 0;
  #pages: number[] = [];

  constructor(pool: PagePool, pagePositions: number, tenant: string | undefined) {
    this.#pool = pool;
    this.#pagePositions = pagePositions;
    this.#tenant = tenant;
  }

  /** Addresses of the pages, in order. */
  get pages(): readonly number[] {
    return this.#pages;
  }

  /** Takes pages for `positions` ids; if the pool cannot give them, gives all back: others may go on. */
  makeRoom(positions: number): boolean {
    const count = this.#pagesFor(positions);
    if (this.#pool.free < count - this.#pages.length) {
      this.cut(0);
      return false;
    }
    while (this.#pages.length < count) this.#pages.push(this.#pool.take()!);
    return true;
  }

  /** Forgets all but the first `count` ids. */
  cut(count: number): void {
    this.computed = Math.min(this.computed, count);
    const pages = this.#pagesFor(this.computed);
    while (this.#pages.length > pages) this.#pool.give(this.#pages.pop()!);
  }

  /** Where nothing is computed yet, takes over what an earlier sequence of the tenant left for the same first `ids`. */
  adopt(ids: readonly number[]): void {
    if (this.#tenant === undefined || this.computed > 0 || this.#pages.length > 0) return;
    const adopted = this.#pool.adopt(this.#tenant, ids);
    if (!adopted) return;
    this.#pages = [...adopted.pages];
    this.computed = adopted.count;
    this.cut(adopted.count);
  }

  /** Gives all pages back, what they hold of `ids` left to the tenant's next sequences. */
  leave(ids: readonly number[]): void {
    if (this.#tenant !== undefined) {
      this.cut(ids.length);
      this.#pool.park({ tenant: this.#tenant, ids: ids.slice(0, this.computed), pages: this.#pages });
      this.#pages = [];
    }
    this.cut(0);
  }

  #pagesFor(positions: number): number {
    return Math.ceil(positions / this.#pagePositions);
  }
}
