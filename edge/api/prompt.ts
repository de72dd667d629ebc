/** From a prompt of `/v1/completions` to the ids that the target is given. */

import { infillPrompt } from "../text/infill.ts";
import type { TargetText } from "../text/target-text.ts";
import type { CompletionRequest, Prompt } from "./completion-request.ts";
import { encodePrompt } from "./encode.ts";
import { invalidRequest } from "./errors.ts";

/** Throws an ApiError for a prompt that this target cannot take. */
export function promptIds(prompt: Prompt, { suffix }: CompletionRequest, text: TargetText): number[] {
  if (suffix) return aroundMiddle(prompt, suffix, text);
  return typeof prompt === "string"
    ? nonEmpty(encodePrompt(prompt, true, text, "prompt"), text)
    : inVocabulary(prompt, text);
}

function aroundMiddle(prompt: Prompt, suffix: string, text: TargetText): number[] {
  const { infill, manifest } = text;
  if (!infill) {
    const message = `suffix: the model ${manifest.id} has no tokens for filling in a middle`;
    throw invalidRequest(message, "suffix", "unsupported_parameter");
  }
  const before =
    typeof prompt === "string" ? encodePrompt(prompt, false, text, "prompt") : inVocabulary(prompt, text);
  const after = encodePrompt(suffix, false, text, "suffix");
  return infillPrompt(infill, { opening: text.encode("", true), before, after });
}

/** An empty prompt still has the token that begins a text, where the target has one. */
function nonEmpty(prompt: number[], { manifest }: TargetText): number[] {
  if (prompt.length > 0) return prompt;
  if (manifest.bos_id !== null) return [manifest.bos_id];
  throw invalidRequest("prompt: must not be empty", "prompt");
}

function inVocabulary(prompt: readonly number[], { manifest }: TargetText): number[] {
  const stranger = prompt.find((id) => id >= manifest.vocab_size);
  if (stranger === undefined) return [...prompt];
  throw invalidRequest(`prompt: token id ${stranger} is not below ${manifest.vocab_size}`, "prompt");
}
