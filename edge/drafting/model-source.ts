/**
 * Drafts with the draft model: follows the text with its KV cache, one token at a time, in slices of two tokens or so.
 *
 * The first hint must not wait for a long prompt: a sequence of its newest ids drafts until a second one has computed
 * the whole window.
 */
import type { DraftEngine } from "./model/engine.ts";
import type { DraftToken } from "./model/pass.ts";
import type { Sequence } from "./model/sequence.ts";
import { draftMacs } from "./model/shape.ts";
import { classOf, type DraftSource, type Guess } from "./source.ts";

/** The draft's own probability of its guess from which the guess has grade 1, 2, and so on. */
const GRADE_PROBABILITIES = [0.2, 0.4, 0.6, 0.8, 0.95] as const;
/** The same for its second choice, as a share of what the first one left. */
const SECOND_PROBABILITIES = [0.1, 0.2, 0.35, 0.5, 0.7] as const;

/** A request may compute as much as this many drafted tokens for every token of its text that is confirmed, */
const DRAFTS_PER_TOKEN = 32;
/** and as much as this many before the first. */
const DRAFTS_AT_FIRST = 1024;

export type ModelSettings = { temperature: number; seed: bigint };

export class ModelSource implements DraftSource {
  readonly name = "model";
  readonly #engine: DraftEngine;
  readonly #settings: ModelSettings;
  /** Sees the whole window. */
  readonly #whole: Sequence;
  /** Sees the newest ids only, and drafts until #whole is ready. */
  #first: Sequence | undefined;
  #wholeIsReady = true;
  #preparing: Promise<unknown> = Promise.resolve();
  /** Ids of the text before any was confirmed. */
  #begin: number | undefined;
  /** Of the sequence of the newest ids, after it was closed. */
  #spentMacs = 0;

  /**
   * The draft shares the verifier's noise: same seed, same absolute positions. `tenant`: whose earlier requests may
   * have computed the text's beginning.
   */
  constructor(engine: DraftEngine, settings: ModelSettings, tenant?: string) {
    this.#engine = engine;
    this.#settings = settings;
    this.#whole = engine.open(tenant);
  }

  prepare(text: readonly number[]): void {
    const whole = this.#whole;
    if (!this.#follow(whole, text)) return;
    const { firstWindow } = this.#engine.options;
    if (whole.waiting <= firstWindow) {
      this.#preparing = whole.prefill();
      return;
    }
    this.#first = this.#engine.open();
    this.#first.extend(text, firstWindow);
    this.#wholeIsReady = false;
    this.#preparing = this.#first.prefill();
    // A failed preparation is next()'s to tell; without the whole window the newest ids go on alone.
    this.#preparing.then(() => this.#widen()).catch(() => undefined);
  }

  async next(text: readonly number[], confirmed = text.length): Promise<Guess | null> {
    this.#begin ??= confirmed;
    if (this.#isSpent(confirmed - this.#begin)) return null;
    await this.#preparing;
    const sequence = this.#current();
    if (!this.#follow(sequence, text)) return null;
    const { tokens } = await sequence.draft(1, this.#settings);
    const [token] = tokens;
    return token ? guessOf(token) : null;
  }

  close(): void {
    this.#whole.close();
    this.#first?.close();
  }

  /** Computes the whole window behind the drafts. Where pages run out, the newest ids go on alone. */
  async #widen(): Promise<void> {
    if (!this.#whole.closed) this.#wholeIsReady = await this.#whole.prefill();
  }

  #current(): Sequence {
    if (!this.#first || !this.#wholeIsReady) return this.#first ?? this.#whole;
    this.#first.close();
    this.#spentMacs += this.#first.spentMacs;
    this.#first = undefined;
    return this.#whole;
  }

  /** Whether the request has used up what `tokens` confirmed tokens allow: hopeless texts must not cost without end. */
  #isSpent(tokens: number): boolean {
    const { shape, head } = this.#engine.header;
    const spent = this.#spentMacs + this.#whole.spentMacs + (this.#first?.spentMacs ?? 0);
    return spent > (DRAFTS_AT_FIRST + tokens * DRAFTS_PER_TOKEN) * draftMacs(shape, head);
  }

  /** Brings a sequence to exactly this text. False if it cannot: a closed engine, or ids that the draft lacks. */
  #follow(sequence: Sequence, text: readonly number[]): boolean {
    if (sequence.closed) return false;
    const { vocab } = this.#engine.header.shape;
    // Only new ids need a look: the rest went through here before.
    for (let i = Math.max(0, sequence.length - 64); i < text.length; i++) if (text[i]! >= vocab) return false;
    sequence.confirm(0, text);
    if (sequence.length > text.length) sequence.rewind(text.length);
    return true;
  }
}

function guessOf({ id, probability, runnerUp }: DraftToken): Guess {
  const grade = classOf(GRADE_PROBABILITIES, probability);
  if (runnerUp.id === id) return { id, grade };
  const second = classOf(SECOND_PROBABILITIES, runnerUp.probability / Math.max(1e-6, 1 - probability));
  return { id, grade, runnerUp: { id: runnerUp.id, grade: second } };
}
