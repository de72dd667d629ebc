/** A draft source answers: what follows this text, and how sure are you? */
import type { HintSource } from "../../gpu-service/protocol/frames.ts";

export const GRADES = 6;
/** `grade`: 0 (a wild guess) to GRADES - 1 (nearly certain), in the source's own terms; the controller learns what it is worth. */
export type Ranked = { id: number; grade: number };
/** `runnerUp`: the source's second choice; its grade is for "right, given that the first is refused". */
export type Guess = Ranked & { runnerUp?: Ranked };

/** Class of `value` among those that begin at the rising `bounds`; 0 below the first. */
export const classOf = (bounds: readonly number[], value: number): number =>
  bounds.filter((least) => value >= least).length;

export interface DraftSource {
  readonly name: HintSource;
  /** Begins whatever can be done before the verifier has answered. */
  prepare?(text: readonly number[]): void;
  /**
   * The id after `text` (prompt, confirmed and already hinted ids, the first `confirmed` of them certain), or null
   * where the source has nothing to say. `text` is the main line, or a branch that leaves it at a runner-up; it may
   * change while the source works, and the caller drops an answer that came too late. A source that answers at once
   * returns no promise.
   */
  next(text: readonly number[], confirmed: number): Guess | null | Promise<Guess | null>;
  close(): void;
}
