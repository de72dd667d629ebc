/**
 * One text that the draft model follows: the newest ids of it, as many of them as are computed in the KV pool, and the
 * ids that it drafted beyond what the caller said.
 *
 * Positions are absolute (0 is the first id of the whole text). Ids older than the window are forgotten: the model
 * sees the window as if the text began there, while the noise of a drawn token uses its absolute position.
 * Sequences of one engine share its pool. Where pages run out a sequence gives its own back and drafts nothing until
 * enough are free; nothing throws for want of memory.
 */
import type { Described } from "./describe.ts";
import type { PagePool } from "./pages.ts";
import { type DraftSettings, Pass, type UnderWay } from "./pass.ts";
import { SequenceCache } from "./sequence-cache.ts";
import type { Turns } from "./turns.ts";
import { type Draft, type DraftOptions, DraftWork, PrefillWork, type Work } from "./work.ts";

/** What the sequences of an engine share; `DraftEngine` says what each means. */
export type Shared = Described &
  UnderWay & {
    readonly closed: boolean;
    readonly pages: PagePool;
    readonly maxPositions: number;
    readonly blockTokens: number;
    readonly options: { readonly window: number };
    readonly turns: Turns;
    release(): void;
  };

export class Sequence {
  readonly #engine: Shared;
  /** Keys and values of the first ids held. */
  readonly #cache: SequenceCache;
  /** Ids held; ids[0] stands at absolute position #start. */
  #ids: number[] = [];
  #start = 0;
  #pass: Pass | undefined;
  #version = 0;
  #spentMacs = 0;
  #closed = false;

  /** `tenant`: whose caches of earlier sequences it may take over, and to whom it leaves its own. */
  constructor(engine: Shared, tenant: string | undefined) {
    this.#engine = engine;
    this.#cache = new SequenceCache(engine.pages, engine.kernel.pagePositions(), tenant);
  }

  /** Absolute position after the last id, drafted ones included: where the next drafted id will stand. */
  get length(): number {
    return this.#start + this.#ids.length;
  }
  /** Absolute position of the oldest id held. */
  get start(): number {
    return this.#start;
  }
  /** The ids held, oldest first. */
  get ids(): readonly number[] {
    return this.#ids;
  }
  /** Changes with every call that changes the ids or begins work, so that older work knows that it is out of date. */
  get version(): number {
    return this.#version;
  }
  /** Multiply-adds of all its work so far. */
  get spentMacs(): number {
    return this.#spentMacs;
  }
  get closed(): boolean {
    return this.#closed || this.#engine.closed;
  }

  /** Appends ids. Only the newest `window` of a long text are kept. Computing them is left to the next work. */
  extend(ids: readonly number[], window = this.window): void {
    this.#change();
    const { vocab } = this.#engine.header.shape;
    for (const id of ids) {
      if (!Number.isInteger(id) || id < 0 || id >= vocab) throw new RangeError(`id ${id} of ${vocab}`);
    }
    if (this.waiting + ids.length <= window) this.#ids.push(...ids);
    else this.#restart([...this.#ids, ...ids.slice(-window)].slice(-window), this.length + ids.length);
    this.#cache.adopt(this.#ids);
  }

  /** Takes back every id at `position` and after. */
  rewind(position: number): void {
    if (position < 0 || position > this.length)
      throw new RangeError(`position ${position} of ${this.length}`);
    this.#change();
    if (position < this.#start) {
      this.#restart([], position);
      return;
    }
    this.#ids.length = position - this.#start;
    this.#cache.cut(this.#ids.length);
  }

  /** The text has these ids from `at` on: keeps what agrees, takes back from the first that differs, appends the rest. */
  confirm(at: number, ids: readonly number[]): void {
    if (at > this.length) throw new RangeError(`position ${at} of ${this.length}`);
    let agreed = Math.max(0, this.#start - at);
    while (agreed < ids.length && this.#ids[at + agreed - this.#start] === ids[agreed]) agreed++;
    if (agreed >= ids.length) return;
    if (at + agreed < this.length) this.rewind(at + agreed);
    this.extend(ids.slice(agreed));
  }

  /** Computes waiting ids but the last, which the next draft begins with. False if pages ran out. */
  async prefill(): Promise<boolean> {
    const work = this.prefillWork();
    await this.#drive(work);
    return work.end === "done";
  }

  /** Drafts up to `count` ids after `length` and appends them. Ends early as the options and the pool say. */
  async draft(count: number, options: DraftOptions): Promise<Draft> {
    const work = this.draftWork(count, options);
    await this.#drive(work);
    return work.draft;
  }

  /** The same as prefill(), for a caller that advances it by itself. New work ends what the sequence did before. */
  prefillWork(): PrefillWork {
    this.#change();
    return new PrefillWork(this.#engine, this);
  }
  /** The same as draft(), for a caller that advances it by itself. */
  draftWork(count: number, options: DraftOptions): DraftWork {
    this.#change();
    return new DraftWork(this.#engine, this, count, options);
  }

  /** Gives the sequence's pages back. Work under way ends. */
  close(): void {
    if (this.#closed) return;
    this.#change();
    this.#cache.leave(this.#ids);
    this.#closed = true;
    this.#engine.release();
  }

  async #drive(work: Work): Promise<void> {
    const { turns } = this.#engine;
    while (!work.finished) {
      while (turns.left <= 0) await turns.next();
      const macs = work.advance(turns.left);
      turns.spend(macs);
      this.#spentMacs += macs;
    }
  }

  /** Ids that wait to be computed. */
  get waiting(): number {
    return this.#ids.length - this.#cache.computed;
  }
  /** The most ids that a prefill takes; at least one page's worth is left for drafts where the model allows it. */
  get window(): number {
    const { maxPositions, options } = this.#engine;
    return Math.max(1, Math.min(options.window, maxPositions - Math.min(32, maxPositions >> 1)));
  }

  /**
   * The next pass over waiting ids, or the reason why there is none. With `settings` the pass that reaches the last id
   * draws the one after it. Slides to the newest half window when the ids have grown beyond what the model can see.
   */
  nextPass(settings: DraftSettings | undefined): Pass | "pages" | "empty" {
    if (this.#ids.length === 0) return "empty";
    if (this.#ids.length > this.#engine.maxPositions) {
      this.#restart(this.#ids.slice(-Math.max(1, this.window >> 1)), this.length);
    }
    // A draw needs the last id's hidden state, which is computed again if it was computed before.
    const from = settings ? Math.min(this.#cache.computed, this.#ids.length - 1) : this.#cache.computed;
    const end = settings ? this.#ids.length : this.#ids.length - 1;
    const to = Math.min(end, from + this.#engine.blockTokens);
    // For all ids at once: a part that cannot be completed would be computed for nothing.
    if (!this.#cache.makeRoom(this.#ids.length)) return "pages";
    const draw = settings && to === this.#ids.length ? { ...settings, position: this.length } : undefined;
    this.#pass = new Pass(this.#engine, this.#ids.slice(from, to), from, this.#cache.pages, draw);
    return this.#pass;
  }

  /** Takes a finished pass's work over: its ids are in the cache now. */
  finishPass(pass: Pass): void {
    this.#cache.computed = pass.end;
    this.#pass = undefined;
  }

  /** Appends an id that was drafted. */
  append(id: number): void {
    this.#ids.push(id);
  }

  /** Holds `ids`, the last of which stands before absolute position `length`; none of them is computed. */
  #restart(ids: number[], length: number): void {
    this.#ids = ids;
    this.#start = length - ids.length;
    this.#cache.cut(0);
  }

  /** Before every change of the ids and before new work: what was under way is dropped. */
  #change(): void {
    this.#demandOpen();
    this.#version++;
    if (this.#pass && this.#engine.current === this.#pass) this.#engine.current = undefined;
    this.#pass = undefined;
  }

  #demandOpen(): void {
    if (this.#closed) throw new Error("this sequence is closed");
  }
}
