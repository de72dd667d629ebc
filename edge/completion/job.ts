/** What a completion is asked for, and what it says of itself while it runs. */
import type { DoneFrame, OpenedFrame, Sampling } from "../../gpu-service/protocol/frames.ts";
import type { SequenceRequest } from "../link/link.ts";
import type { TargetText } from "../text/target-text.ts";
import type { Delta, FinishReason } from "./commit.ts";
import type { Failure } from "./failure.ts";

export type CompletionJob = {
  text: TargetText;
  prompt: readonly number[];
  sampling: Sampling;
  maxTokens: number;
  stops: readonly string[];
  logprobs: number | undefined;
  /** The prompt's own tokens are scored too, with so many likeliest ones at each position. */
  promptLogprobs?: number;
  tenant: string;
  /** The client sent a prediction: usage tells what came of it. */
  hasPrediction?: boolean;
  /** The draft release that the request is attributed to. */
  release: string | undefined;
  /** The trace that the request is part of. */
  traceparent?: string;
  /** Waits for the verifier's own account of the sequence after a stop string. */
  wantsReport: boolean;
  /** Hears once, at the end, which output ids were confirmed, also of a text that was broken off. */
  remember?: (output: readonly number[]) => void;
  /**
   * Hears once, at the end of a text that a replica had taken, also of one that was broken off: the verifier's own
   * account of it is to come (null where it does not), and these output ids were confirmed.
   */
  account?: (report: Promise<DoneFrame | null>, output: readonly number[]) => void;
  signal: AbortSignal;
};

export type Usage = {
  prompt_tokens: number;
  completion_tokens: number;
  total_tokens: number;
  /** Present where the client sent a prediction. */
  completion_tokens_details?: { accepted_prediction_tokens: number; rejected_prediction_tokens: number };
};
export const usageOf = (prompt_tokens: number, completion_tokens: number): Usage => ({
  prompt_tokens,
  completion_tokens,
  total_tokens: prompt_tokens + completion_tokens,
});
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

/** What a replica is asked for. `confirmed`: output ids that another one confirmed already, under its `numerics`. */
export function sequenceRequest(
  job: CompletionJob,
  so: { confirmed: readonly number[]; numerics: string | undefined; drafts: boolean },
): SequenceRequest {
  const { text, prompt, sampling, maxTokens, logprobs, promptLogprobs, tenant, release, traceparent } = job;
  const resuming = so.confirmed.length > 0;
  return {
    target: text.manifest.id,
    tokenizer: text.manifest.tokenizer_sha256,
    prompt: [...prompt],
    ...(resuming && { confirmed: [...so.confirmed] }),
    ...(resuming && so.numerics !== undefined && { numerics: so.numerics }),
    sampling,
    max_tokens: maxTokens,
    stop_ids: text.manifest.eos_ids,
    ...(logprobs !== undefined && { logprobs }),
    ...(promptLogprobs !== undefined && !resuming && { prompt_logprobs: promptLogprobs }),
    drafts: so.drafts,
    tenant,
    ...(release !== undefined && { release }),
    ...(traceparent !== undefined && { traceparent }),
  };
}
