/**
 * How long hints take to arrive, learnt for one sequence: what it would mean to wait for them.
 *
 * Times run from the moment a token was confirmed to the moment a hint's frame came in, both by the verifier's clock:
 * they hold the round trip, the drafting and whatever else lies between, and nothing has to be known of any of them.
 * Whether the verifier waits or not, every answer tells how long it took.
 */
import { Answer, GAIN, LATE_GAIN } from "./answer.ts";

/** Ends of the text whose time is remembered: an answer to an older one says nothing of a wait that could pay. */
const REMEMBERED_ENDS = 64;

/** Hints that are on their way. Times in milliseconds from now. */
export type Awaited = {
  /** Until `count` ids are there, more than there are now. */
  msUntil(count: number): number;
  /** After which they are not waited for any longer. */
  giveUpMs: number;
  /** That they come before that. */
  chance: number;
  /** Ids that were confirmed since and have to agree. */
  overtaken: number;
};

type Dry = { at: number; end: number; anew: boolean };
type Frame = {
  path: number;
  from: number;
  have: number;
  gained: number;
  /** Where the text had left what is hinted before it came, so that all has to be drafted anew; undefined if it had not. */
  refusedAt?: number;
  /** The engine waited for it. */
  isWaited: boolean;
};

export class Arrivals {
  /** Answers to a refusal, answers where hints were used up, and each further frame on the same path. */
  readonly #anew = new Answer();
  readonly #onward = new Answer();
  readonly #further = new Answer();
  /** The text's ends after its latest steps, oldest first, and when it became that long. */
  readonly #endedAt = new Map<number, number>();
  /** Since when, and from which end of the text on, there has been no hint. */
  #dry: Dry | undefined;
  #path = -1;
  /** When the newest frame came that brought ids. */
  #newestAt = 0;

  /** The text ends before position `end` since `at`; `have`: whether a hint leads on; `anew`: whether one has to be drafted anew. */
  committed(end: number, at: number, have: boolean, anew: boolean): void {
    this.#remember(end, at);
    if (have) this.#dry = undefined;
    else if (!this.#dry || (anew && !this.#dry.anew)) this.#dry = { at, end, anew };
  }

  /**
   * A frame of `path` came in at `at` that speaks of positions from `from` on. With it `have` ids lead on from the
   * text's end, `gained` of them by it.
   */
  hinted({ path, from, have, gained, refusedAt, isWaited }: Frame, at: number): void {
    const dry = this.#dry;
    const isNewPath = path > this.#path;
    this.#path = path;
    // What came while a step ran was there when it ended: nobody had to wait for it.
    if (dry && at >= dry.at) {
      const since = isNewPath && dry.anew ? this.#endedAt.get(from) : undefined;
      if (since !== undefined) this.#anew.came(at - since, Math.max(1, have), isWaited);
      else if (!isNewPath && !dry.anew && have > 0) this.#onward.came(at - dry.at, have, isWaited);
    } else if (!dry && !isNewPath && gained > 0) {
      const gap = at - this.#newestAt;
      this.#further.came(gap, gained, isWaited, gap > this.#further.ms ? LATE_GAIN : GAIN);
    }
    if (gained > 0) this.#newestAt = at;
    if (have > 0) this.#dry = undefined;
    else if (refusedAt !== undefined) this.#dry = this.#refused(refusedAt) ?? (dry && { ...dry, anew: true });
  }

  /** A wait for more than `have` ids ended without them. */
  missed(have: number): void {
    if (have > 0) this.#further.missed();
    else (this.#dry?.anew ? this.#anew : this.#onward).missed();
  }

  /** What is to be expected at `now` where the text ends before `end` and `have` ids lead on; undefined if nothing. */
  awaited(have: number, end: number, now: number): Awaited | undefined {
    const first = have > 0 ? undefined : this.#dry?.anew ? this.#anew : this.#onward;
    const answer = first ?? this.#further;
    const since = first ? this.#dry?.at : this.#newestAt;
    if (!answer.isKnown || since === undefined) return undefined;
    const elapsed = now - since;
    const giveUpMs = answer.giveUpMs - elapsed;
    if (giveUpMs <= 0) return undefined;
    const firstMs = Math.max(0, answer.ms - elapsed);
    const perFrame = this.#further.isKnown ? this.#further : answer;
    const there = have + answer.ids;
    return {
      msUntil: (count) => firstMs + Math.max(0, Math.ceil((count - there) / perFrame.ids)) * perFrame.ms,
      giveUpMs,
      chance: answer.chance,
      overtaken: first ? end - this.#dry!.end : 0,
    };
  }

  /** The edge learns with the step that said otherwise at `position` that it has to draft anew. */
  #refused(position: number): Dry | undefined {
    for (const [end, at] of this.#endedAt) if (end > position) return { at, end, anew: true };
    return undefined;
  }

  #remember(end: number, at: number): void {
    this.#endedAt.set(end, at);
    if (this.#endedAt.size <= REMEMBERED_ENDS) return;
    for (const oldest of this.#endedAt.keys()) {
      this.#endedAt.delete(oldest);
      return;
    }
  }
}
