/**
 * The oracle draft: it knows the target's text and proposes its next token with a given chance, so that the protocol
 * can be judged apart from any model. Benchmarks only.
 *
 * Whether a position is guessed right is drawn from the seed. Where the guess is wrong,
 * the runner-up is right with chance BRANCH_CHANCE. The oracle follows the right line at `draftMs` a token, over a
 * right runner-up too; behind a guess and a runner-up that are both wrong it goes on with junk, at the same price.
 * On what it could know to be wrong it has nothing to say. These are the rules of the simulation whose speed-ups
 * the benchmark promises; no grade tells right from wrong.
 */
import type { DraftSource, Guess } from "../../../edge/drafting/source.ts";
import { seededRandom } from "../../network/random.ts";

const BRANCH_CHANCE = 0.4;
/** The grade whose guesses come true about as often, by the drafter's first belief. */
const GRADE_OF_ALPHA: Record<string, number> = { "0.6": 2, "0.7": 3, "0.8": 4, "0.9": 5 };
const RUNNER_UP_GRADE = 3;

export type Verdict = "right" | "runner-up" | "wrong";

/**
 * What becomes of the guess for each position: in random order, and as many of each as there are on average, so that
 * a single text is no luckier than another.
 */
export function drawVerdicts(alpha: number, positions: number, seed: number): Verdict[] {
  const random = seededRandom(seed);
  const right = Math.round(alpha * positions);
  const runnersUp = Math.round(BRANCH_CHANCE * (positions - right));
  const verdicts = Array.from({ length: positions }, (_, i): Verdict => {
    return i < right ? "right" : i < right + runnersUp ? "runner-up" : "wrong";
  });
  for (let left = positions; left > 1; left--) {
    const pick = Math.floor(random() * left);
    [verdicts[left - 1], verdicts[pick]] = [verdicts[pick]!, verdicts[left - 1]!];
  }
  return verdicts;
}

export type OracleTruth = {
  /** Prompt and output ids of the target. */
  text: readonly number[];
  /** By position in `text`; those of the prompt do not matter. */
  verdicts: readonly Verdict[];
  vocabulary: number;
};
/** Takes time: a `Schedule`, or a virtual clock. */
export type Work = { spend(ms: number): Promise<void> };
type Guesses = Guess & { runnerUp: Guess };

/** Two ids that are wrong at `position`: the guess, the runner-up. */
export function wrongIds({ text, vocabulary }: OracleTruth, position: number): [number, number] {
  const off = (n: number) => ((text[position] ?? 0) + n) % vocabulary;
  return [off(1), off(2)];
}

export class OracleSource implements DraftSource {
  readonly name = "model";
  readonly #truth: OracleTruth;
  readonly #grade: number;
  readonly #draftMs: number;
  readonly #work: Work;

  constructor(truth: OracleTruth, alpha: number, draftMs: number, work: Work) {
    this.#truth = truth;
    this.#grade = GRADE_OF_ALPHA[String(alpha)] ?? 3;
    this.#draftMs = draftMs;
    this.#work = work;
  }

  async next(text: readonly number[]): Promise<Guesses | null> {
    const at = text.length;
    const leftAt = this.#leftAt(text);
    if (at >= this.#truth.text.length || (leftAt < at && !this.#isJunk(text, leftAt))) return null;
    const guesses = this.#guess(at, leftAt < at);
    await this.#work.spend(this.#draftMs);
    return guesses;
  }

  close(): void {}

  /** The first position at which `text` is not the target's. */
  #leftAt(text: readonly number[]): number {
    const same = text.findIndex((id, position) => id !== this.#truth.text[position]);
    return same < 0 ? text.length : same;
  }

  /** Whether the text left the target's by a guess that no runner-up mends, and went on along the guesses since. */
  #isJunk(text: readonly number[], leftAt: number): boolean {
    if (this.#truth.verdicts[leftAt] !== "wrong") return false;
    return text.slice(leftAt).every((id, i) => id === wrongIds(this.#truth, leftAt + i)[0]);
  }

  #guess(position: number, isLost: boolean): Guesses {
    const [wrong, alsoWrong] = wrongIds(this.#truth, position);
    const right = this.#truth.text[position]!;
    const verdict = isLost ? "wrong" : this.#truth.verdicts[position]!;
    const id = verdict === "right" ? right : wrong;
    const second = verdict === "runner-up" ? right : alsoWrong;
    return { id, grade: this.#grade, runnerUp: { id: second, grade: RUNNER_UP_GRADE } };
  }
}
