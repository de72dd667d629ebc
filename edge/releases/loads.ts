/**
 * One load at a time: the memory lets a newer one take an older one's place. What failed is tried again, but more and
 * more rarely, for a try in place of a release interrupts its drafts.
 */

/** A load that takes longer was part of a request that the runtime has ended: it will never settle. */
const TIMEOUT_MS = 60_000;
const FIRST_WAIT_MS = 60_000;
const MOST_WAIT_MS = 3_600_000;
/** More failures are never of interest at once; older ones are forgotten. */
const MAX_KEPT = 8;

type Loading = { key: string; giveUpAt: number; done: Promise<void> };

export class Loads {
  readonly #failed = new Map<string, { waitMs: number; retryAt: number }>();
  #loading: Loading | undefined;

  /**
   * Joins a load of the same key; one of another key, which is not wanted any more, loses its place: its `isWanted`
   * turns false and how it ends is nobody's concern. Resolves without a load where the last try is too recent.
   */
  run(key: string, load: (isWanted: () => boolean) => Promise<void>): Promise<void> {
    const now = Date.now();
    if (this.#loading?.key === key && now < this.#loading.giveUpAt) return this.#loading.done;
    if (now < (this.#failed.get(key)?.retryAt ?? 0)) return Promise.resolve();
    const loading: Loading = { key, giveUpAt: now + TIMEOUT_MS, done: Promise.resolve() };
    this.#loading = loading;
    loading.done = this.#watched(loading, load);
    return loading.done;
  }

  async #watched(loading: Loading, load: (isWanted: () => boolean) => Promise<void>): Promise<void> {
    const isWanted = () => this.#loading === loading;
    try {
      await load(isWanted);
      // What did not fit before may fit now.
      if (isWanted()) this.#failed.clear();
    } catch (error) {
      if (!isWanted()) return;
      this.#fail(loading.key);
      throw error;
    } finally {
      if (isWanted()) this.#loading = undefined;
    }
  }

  #fail(key: string): void {
    const before = this.#failed.get(key);
    const waitMs = before ? Math.min(2 * before.waitMs, MOST_WAIT_MS) : FIRST_WAIT_MS;
    this.#failed.delete(key);
    this.#failed.set(key, { waitMs, retryAt: Date.now() + waitMs });
    const [oldest] = this.#failed.keys();
    if (this.#failed.size > MAX_KEPT && oldest !== undefined) this.#failed.delete(oldest);
  }
}
