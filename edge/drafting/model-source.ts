/** Drafts with the draft model: follows the text with its KV cache, one token at a time, in slices of about 2 ms. */
import type { DraftEngine } from "./model/engine.ts";
import type { Sequence } from "./model/sequence.ts";
import type { Work } from "./model/work.ts";
import type { DraftSource, Guess } from "./source.ts";

/** The draft's own probability of its guess from which the guess has grade 1, 2, and so on. */
const GRADE_PROBABILITIES = [0.2, 0.4, 0.6, 0.8, 0.95] as const;

export type ModelSettings = { temperature: number; seed: bigint };

export class ModelSource implements DraftSource {
  readonly name = "model";
  readonly #engine: DraftEngine;
  readonly #settings: ModelSettings;
  readonly #sequence: Sequence;
  /** Multiply-adds since the last pause. */
  #spent = 0;
  #preparing: Promise<void> = Promise.resolve();

  /** The draft shares the verifier's noise: same seed, same absolute positions. */
  constructor(engine: DraftEngine, settings: ModelSettings) {
    this.#engine = engine;
    this.#settings = settings;
    this.#sequence = engine.open();
  }

  prepare(text: readonly number[]): void {
    if (!this.#follow(text)) return;
    this.#preparing = this.#drive(this.#sequence.prefillWork());
  }

  async next(text: readonly number[]): Promise<Guess | null> {
    await this.#preparing;
    if (!this.#follow(text)) return null;
    const work = this.#sequence.draftWork(1, this.#settings);
    await this.#drive(work);
    const [token] = work.draft.tokens;
    return token ? { id: token.id, grade: gradeOf(token.probability) } : null;
  }

  close(): void {
    this.#sequence.close();
  }

  /** Brings the sequence to exactly this text. False if it cannot: a closed engine, or ids that the draft lacks. */
  #follow(text: readonly number[]): boolean {
    const sequence = this.#sequence;
    if (sequence.closed) return false;
    const { vocab } = this.#engine.header.shape;
    // Only new ids need a look: the rest went through here before.
    for (let i = Math.max(0, sequence.length - 64); i < text.length; i++) if (text[i]! >= vocab) return false;
    sequence.confirm(0, text);
    if (sequence.length > text.length) sequence.rewind(text.length);
    return true;
  }

  async #drive(work: Work): Promise<void> {
    const { sliceMacs, pause } = this.#engine.options;
    while (!work.finished) {
      this.#spent += work.advance(sliceMacs - this.#spent);
      if (this.#spent < sliceMacs) continue;
      this.#spent = 0;
      await pause();
    }
  }
}

const gradeOf = (probability: number): number =>
  GRADE_PROBABILITIES.filter((least) => probability >= least).length;
