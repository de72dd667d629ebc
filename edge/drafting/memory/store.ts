/**
 * Texts that the verifier has confirmed, in the isolate's memory, found by their last ids.
 *
 * All ids lie in one ring: the oldest texts are overwritten, and a text that is used is remembered anew when its
 * completion ends. An index of fixed size names, for each four ids that follow one another, the newest places after
 * them, and where an output begins also by more ids: prompts of one kind end alike. Whose text it is goes into the index's key and is compared where a place is found: nobody is told of others'.
 */

/** 1 MiB of ids and 2 MiB of index; what is noted of each text (about 100 bytes) makes less than 0.5 MiB. */
const RING_IDS = 1 << 18;
const BUCKETS = 1 << 16;
const PLACES_PER_BUCKET = 4;
const MAX_TEXTS = 4096;
export const MOST_BYTES = 4 * RING_IDS + 8 * BUCKETS * PLACES_PER_BUCKET + 100 * MAX_TEXTS;
export const LEAST_MATCH = 4;
const LONGEST_MATCH = 64;
/** Ids before an output by which it is found. */
const PROMPT_MATCH = 32;

/** A text at absolute ring positions `from` to `to`. */
type Stored = { owner: string; from: number; to: number; digest: number };
/** A place in the ring: `at` is the position of the id that comes next, before `end`. */
export type Place = { at: number; end: number; agreed: number };

export class MemoryStore {
  readonly #ring = new Uint32Array(RING_IDS);
  /** Absolute position + 1; 0: empty. Newest first in each bucket. */
  readonly #index = new Float64Array(BUCKETS * PLACES_PER_BUCKET);
  /** Oldest first. */
  #texts: Stored[] = [];
  #head = 0;

  /**
   * Remembers a text of `owner`, at most a quarter of the ring's size, whose output begins at `output`; one that is
   * known moves to the newest end.
   */
  add(owner: string, ids: readonly number[], output: number): void {
    if (ids.length <= LEAST_MATCH || ids.length > RING_IDS / 4) return;
    const digest = ids.reduce(mix, hashOf(owner));
    const known = this.#texts.findIndex((text) => text.digest === digest && text.owner === owner);
    if (known >= 0) this.#texts.splice(known, 1);
    const from = this.#head;
    for (const id of ids) this.#ring[this.#head++ % RING_IDS] = id;
    this.#texts.push({ owner, from, to: this.#head, digest });
    this.#forget();
    const key = hashOf(owner);
    for (let end = LEAST_MATCH; end < ids.length; end++) {
      this.#note(bucketOf(key, ids, end, LEAST_MATCH), from + end);
    }
    this.#note(bucketOf(key, ids, output, PROMPT_MATCH), from + output);
  }

  /** The place of `owner`'s texts whose past agrees longest with the end of `text`. */
  find(owner: string, text: readonly number[]): Place | undefined {
    if (text.length < LEAST_MATCH) return undefined;
    const key = hashOf(owner);
    const byPrompt = this.#longest(owner, text, bucketOf(key, text, text.length, PROMPT_MATCH));
    const byEnd = this.#longest(owner, text, bucketOf(key, text, text.length, LEAST_MATCH));
    return (byPrompt?.agreed ?? 0) > (byEnd?.agreed ?? 0) ? byPrompt : byEnd;
  }

  /** The id at a place; undefined where its text ends or has been overwritten. */
  idAt({ at, end }: Place): number | undefined {
    return at < end && at >= this.#head - RING_IDS ? this.#ring[at % RING_IDS] : undefined;
  }

  #longest(owner: string, text: readonly number[], first: number): Place | undefined {
    let best: Place | undefined;
    for (let i = 0; i < PLACES_PER_BUCKET; i++) {
      const at = this.#index[first + i]! - 1;
      const stored = at >= 0 ? this.#textAt(at) : undefined;
      if (stored?.owner !== owner) continue;
      const agreed = this.#agreement(text, at, stored.from);
      if (agreed >= LEAST_MATCH && agreed > (best?.agreed ?? 0)) best = { at, end: stored.to, agreed };
    }
    return best;
  }

  #agreement(text: readonly number[], at: number, from: number): number {
    let length = 0;
    const most = Math.min(LONGEST_MATCH, text.length, at - from);
    while (length < most && this.#ring[(at - 1 - length) % RING_IDS] === text[text.length - 1 - length])
      length++;
    return length;
  }

  #note(first: number, position: number): void {
    const last = first + PLACES_PER_BUCKET - 1;
    for (let i = last; i > first; i--) this.#index[i] = this.#index[i - 1]!;
    this.#index[first] = position + 1;
  }

  #textAt(position: number): Stored | undefined {
    let low = 0;
    let high = this.#texts.length - 1;
    while (low <= high) {
      const middle = (low + high) >> 1;
      const text = this.#texts[middle]!;
      if (position < text.from) high = middle - 1;
      else if (position >= text.to) low = middle + 1;
      else return text;
    }
    return undefined;
  }

  /** Drops texts that are overwritten, in part at least, or too many. */
  #forget(): void {
    let count = Math.max(0, this.#texts.length - MAX_TEXTS);
    while (this.#texts[count] && this.#texts[count]!.from < this.#head - RING_IDS) count++;
    if (count > 0) this.#texts = this.#texts.slice(count);
  }
}

const mix = (hash: number, value: number): number => {
  const mixed = Math.imul(hash ^ value, 0x9e3779b1);
  return (mixed ^ (mixed >>> 15)) >>> 0;
};
const hashOf = (text: string): number => {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = mix(hash, text.charCodeAt(i));
  return hash;
};
/** By the `count` ids before `end`, or as many as there are. */
const bucketOf = (key: number, ids: readonly number[], end: number, count: number): number => {
  let hash = mix(key, count);
  for (let i = Math.max(0, end - count); i < end; i++) hash = mix(hash, ids[i]!);
  return (hash % BUCKETS) * PLACES_PER_BUCKET;
};
