/**
 * The life of a completion: open a sequence, draft ahead of it, commit what it confirms, end it.
 *
 * `opened` comes before anything else, so that a refusal can still be an HTTP status. A lost replica costs a
 * re-prefill on the next one: text depends on seed and position only, so it goes on as if nothing had happened.
 */
import type { DoneFrame, OpenedFrame, Sampling } from "../../gpu-service/protocol/frames.ts";
import type { Drafter } from "../drafting/drafter.ts";
import type { VerifierLink } from "../link/link.ts";
import type { TargetText } from "../text/target-text.ts";
import type { Delta, FinishReason } from "./commit.ts";
import type { Failure } from "./failure.ts";
import { Run } from "./run.ts";

export type CompletionJob = {
  text: TargetText;
  prompt: readonly number[];
  sampling: Sampling;
  maxTokens: number;
  stops: readonly string[];
  logprobs: number | undefined;
  tenant: string;
  /** The draft release that the request is attributed to. */
  release: string | undefined;
  /** Waits for the verifier's own account of the sequence after a stop string. */
  wantsReport: boolean;
  signal: AbortSignal;
};

export type Usage = { prompt_tokens: number; completion_tokens: number; total_tokens: number };
export type Finished = {
  type: "finished";
  reason: FinishReason;
  usage: Usage;
  /** The verifier's counts and timings; null if it was not waited for. */
  report: DoneFrame | null;
};
export type CompletionEvent =
  | { type: "opened"; opened: OpenedFrame }
  | ({ type: "delta" } & Delta)
  | Finished
  | { type: "failed"; failure: Failure };

/** `links`: replicas in the order in which they are tried. `drafter` is absent when drafts are off. */
export async function* complete(
  job: CompletionJob,
  links: readonly VerifierLink[],
  drafter: Drafter | undefined,
): AsyncGenerator<CompletionEvent, void> {
  const run = new Run(job, drafter);
  try {
    drafter?.prepare();
    for (const link of links) {
      const lost = yield* run.on(link);
      if (!lost) return;
    }
    yield { type: "failed", failure: run.lastLoss };
  } finally {
    run.close();
  }
}
