/** What a request must fit: the model that is served, its context, its vocabulary. All throw an ApiError. */
import { type Sampling, scoresFit } from "../../gpu-service/protocol/frames.ts";
import type { TargetText } from "../text/target-text.ts";
import type { Services } from "./context.ts";
import { failureToError, invalidRequest, notFound } from "./errors.ts";

export async function targetText({ config, text }: Services, model: string): Promise<TargetText> {
  if (model !== config.target) {
    throw notFound(`The model ${model} does not exist.`, "model", "model_not_found");
  }
  try {
    return await text();
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw failureToError({ kind: "target-unavailable", message });
  }
}

/** Positions left for output; at least `least`. */
export function roomFor(
  prompt: readonly number[],
  { manifest }: TargetText,
  { param, least }: { param: string; least: number },
): number {
  const room = manifest.context - prompt.length;
  if (room >= least) return room;
  const message = `The prompt has ${prompt.length} tokens; the model's context holds ${manifest.context}.`;
  throw invalidRequest(message, param, "context_length_exceeded");
}

export function checkRoom(prompt: readonly number[], maxTokens: number, { manifest }: TargetText): void {
  if (prompt.length + maxTokens <= manifest.context) return;
  const message =
    `The prompt has ${prompt.length} tokens and ${maxTokens} more were asked for; ` +
    `the model's context holds ${manifest.context}.`;
  throw invalidRequest(message, "max_tokens", "context_length_exceeded");
}

/** An echoed prompt's log probabilities travel in one frame. */
export function checkScores(prompt: readonly number[], logprobs: number): void {
  if (scoresFit(prompt.length, logprobs)) return;
  const message =
    `logprobs: ${logprobs} beside each of the ${prompt.length} tokens of an echoed prompt are too many; ` +
    "ask for fewer, or for a shorter prompt";
  throw invalidRequest(message, "logprobs");
}

export function checkBias({ logit_bias }: Sampling, { manifest }: TargetText): void {
  const stranger = logit_bias.find(([id]) => id >= manifest.vocab_size);
  if (!stranger) return;
  const message = `logit_bias: token id ${stranger[0]} is not below ${manifest.vocab_size}`;
  throw invalidRequest(message, "logit_bias");
}
