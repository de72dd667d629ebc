// What the chunks of an answer add up to.

/** Tokens that a point of the chart looks back on. */
const WINDOW = 16;

export class Tally {
  text = "";
  tokens = 0;
  drafted = 0;
  /** Milliseconds from the request to its first token; undefined before it. */
  firstMs;
  /** The share that was drafted ahead of the last 16 tokens, after each token. */
  shares = [];
  details;
  #began;
  #first;
  #firstTokens = 0;
  #last = 0;
  #recent = [];

  constructor(now) {
    this.#began = now;
  }

  /** `accepted`: how many of the `count` tokens had been drafted. */
  add(text, count, accepted, now) {
    this.text += text;
    if (count === 0) return;
    this.tokens += count;
    this.drafted += accepted;
    this.#last = now;
    if (this.#first === undefined) {
      this.#first = now;
      this.#firstTokens = count;
      this.firstMs = now - this.#began;
    }
    for (let i = 0; i < count; i++) {
      this.#recent.push(i < accepted ? 1 : 0);
      if (this.#recent.length > WINDOW) this.#recent.shift();
      this.shares.push(this.#recent.reduce((sum, one) => sum + one, 0) / this.#recent.length);
    }
  }

  /** Tokens a second, of those that came after the first chunk; undefined while there are none. */
  get speed() {
    const ms = this.#last - this.#first;
    return ms > 0 ? ((this.tokens - this.#firstTokens) * 1000) / ms : undefined;
  }

  get share() {
    return this.tokens === 0 ? 0 : this.drafted / this.tokens;
  }

  get perStep() {
    return this.details?.steps ? this.tokens / this.details.steps : undefined;
  }
}
