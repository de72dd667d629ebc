/** How long one kind of answer of the edge takes, and how often it comes before it is given up. */

/** Weight of the newest observation. */
export const GAIN = 0.25;
/** A frame on the same path that took longer than usual may have waited for tokens: it says little of the drafting. */
export const LATE_GAIN = 0.05;
/** An answer is given up when it is later than expected by so many spreads, and so many milliseconds. */
const SPREADS = 2;
const SLACK_MS = 0.5;
/**
 * An answer that comes while a step runs has to share the machine with it. Waited for, it is quicker by this share of
 * its time, and by no more milliseconds than this: what a wait shows counts from then on.
 */
const HASTE_SHARE = 0.4;
const MOST_HASTE_MS = 1.5;

/** What is known of one kind of answer. Times in milliseconds. */
export class Answer {
  ms = 0;
  #spread = 0;
  /** Ids in its first frame. */
  ids = 1;
  /** How often it came before it was given up. */
  chance = 0.8;
  isKnown = false;
  /** It was waited for at least once. */
  #isTried = false;

  get giveUpMs(): number {
    return this.ms + SPREADS * this.#spread + SLACK_MS;
  }

  came(time: number, ids: number, isWaited: boolean, most = GAIN): void {
    const ms = isWaited ? time : time - Math.min(HASTE_SHARE * time, MOST_HASTE_MS);
    const gain = isWaited || !this.#isTried ? most : LATE_GAIN;
    this.#isTried ||= isWaited;
    if (!this.isKnown) {
      this.isKnown = true;
      [this.ms, this.#spread, this.ids] = [ms, ms / 4, ids];
      return;
    }
    this.chance += GAIN * ((ms <= this.giveUpMs ? 1 : 0) - this.chance);
    // One answer that was held up says little of the next.
    const usual = Math.min(ms, this.giveUpMs + 2 * this.#spread + 1);
    this.#spread += gain * (Math.abs(usual - this.ms) - this.#spread);
    this.ms += gain * (usual - this.ms);
    this.ids += GAIN * (ids - this.ids);
  }

  missed(): void {
    this.chance -= GAIN * this.chance;
  }
}
