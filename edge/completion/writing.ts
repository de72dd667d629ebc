/** The text of a completion while it is written: what a replica confirms is committed, and counted at the end. */
import type { DoneFrame, TokensFrame } from "../../gpu-service/protocol/frames.ts";
import type { Drafter } from "../drafting/drafter.ts";
import { type Committed, Committer, type FinishReason } from "./commit.ts";
import type { Failure } from "./failure.ts";
import { type CompletionJob, type Finished, type Usage, usageOf } from "./job.ts";

export class Writing {
  readonly #job: CompletionJob;
  readonly #drafter: Drafter | undefined;
  readonly #committer: Committer;

  constructor(job: CompletionJob, drafter: Drafter | undefined) {
    this.#job = job;
    this.#drafter = drafter;
    const { bytesOf, manifest } = job.text;
    const { stops, maxTokens } = job;
    this.#committer = new Committer({ bytesOf, stops, maxTokens, endIds: manifest.eos_ids });
  }

  /** Confirmed output ids. */
  get ids(): readonly number[] {
    return this.#committer.ids;
  }

  /** What is wrong with a frame that does not continue the text. */
  misplaced({ at }: TokensFrame): Failure | undefined {
    const expected = this.#job.prompt.length + this.ids.length;
    if (at === expected) return undefined;
    const message = `the verifier confirmed position ${at}, expected ${expected}`;
    return { kind: "verifier", code: "internal", message, retryable: false };
  }

  /** Tells the drafter too. */
  commit(frame: TokensFrame): Committed {
    const committed = this.#committer.commit(frame);
    this.#drafter?.confirm(frame.ids);
    if (committed.finish) this.#drafter?.stop();
    return committed;
  }

  /** The verifier's context is full, or a prompt was only to be scored: what was held back is text after all. */
  end(): Committed {
    return this.#committer.end();
  }

  finished(reason: FinishReason, report: DoneFrame | null): Finished {
    const usage = usageOf(this.#job.prompt.length, this.ids.length);
    return { type: "finished", reason, usage: { ...usage, ...this.#predictionUsage() }, report };
  }

  #predictionUsage(): Pick<Usage, "completion_tokens_details"> {
    if (!this.#job.hasPrediction) return {};
    const { accepted, rejected } = this.#drafter?.predicted ?? { accepted: 0, rejected: 0 };
    const details = { accepted_prediction_tokens: accepted, rejected_prediction_tokens: rejected };
    return { completion_tokens_details: details };
  }
}
