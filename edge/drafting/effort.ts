/**
 * What an id costs, as the chance of being reached from which it is worth that: its time and its bytes.
 *
 * Time is counted in ids per step of the verifier, seen between two of its frames; no clock is asked. What is drafted in
 * vain keeps a refusal waiting, in every turn of the event loop that its answer passes through, and takes memory
 * bandwidth from a target on the same machine. Where a step has time for few ids both can cost a whole step; where it
 * has time for many, hardly anything. The sixth power says so: of the powers tried (2, 3, 4, 6) it is the one that gains
 * on this machine's chat (`bench speedup`) without a loss at a distance (`bench rtt`).
 * Where many requests share the isolate, or the target is nearly as quick as the draft, only what is likely to be
 * reached is worth it.
 */

/** Weight of the newest observation. */
const GAIN = 0.15;
const FIRST_BELIEF = 20;
/** How much more time a step may have than was drafted, where drafting stopped for want of anything worth it. */
const IDLE_GROWTH = 1.03;
const MOST_PER_STEP = 48;
/** Where a step has time for so few ids, drafting one in vain costs as much as a step; beyond, by this power less. */
const IDS_OF_A_WHOLE_STEP = 3.8;
const POWER = 6;
/** What is likelier than this to be reached is worth its time anywhere. */
const LIKELY = 0.25;
/** The price of an id's bytes where they are no more than they should be. */
const BYTE_PRICE = 0.0003;
/** Bytes up per confirmed token beyond which they get dear: a quarter more of them cost 23 times as much each. */
const BYTES_PER_TOKEN = 27;
const DEARNESS = 14;
/** Tokens' worth of bytes to begin with: much is sent before anything is confirmed. */
const HEAD_START_TOKENS = 16;

export class Effort {
  #perStep = FIRST_BELIEF;
  #drafted = 0;
  #wasIdle = false;
  #hasBegun = false;
  #bytes = 0;
  #tokens = HEAD_START_TOKENS;

  /** The chance of being reached at which an id is worth drafting. */
  get leastReach(): number {
    const over = Math.max(1, this.#bytes / (this.#tokens * BYTES_PER_TOKEN));
    const time = (IDS_OF_A_WHOLE_STEP / this.#perStep) ** POWER;
    return Math.max(Math.min(time, LIKELY), BYTE_PRICE * over ** DEARNESS);
  }

  drafted(): void {
    this.#drafted++;
  }

  sent(bytes: number): void {
    this.#bytes += bytes;
  }

  /** There was nothing worth drafting for a while: a step has room for more than was drafted. */
  idle(): void {
    this.#wasIdle = true;
  }

  /** A frame of `tokens` came. Frames of one step come together: nothing is drafted between them. */
  confirmed(tokens: number): void {
    // Before the first one the prompt is read, which takes other times than a step.
    if (this.#hasBegun && this.#drafted > 0) this.#perStep = Math.min(MOST_PER_STEP, this.#learnt());
    this.#hasBegun = true;
    this.#tokens += tokens;
    this.#drafted = 0;
    this.#wasIdle = false;
  }

  #learnt(): number {
    const drafted = this.#drafted;
    const known = this.#perStep;
    const towards = known + GAIN * (drafted - known);
    if (!this.#wasIdle) return towards;
    // Where little was worth drafting, nothing shows how much could have been.
    return drafted < known / 2 ? known : Math.max(towards, known * IDLE_GROWTH);
  }
}
