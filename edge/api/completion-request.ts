/** `POST /v1/completions`: from the body to what a completion needs. */
import { z } from "zod";
import { MAX_LOGPROBS, MAX_PROMPT_IDS } from "../../gpu-service/protocol/frames.ts";
import type { TargetText } from "../text/target-text.ts";
import { encodePrompt } from "./encode.ts";
import { invalidRequest, schemaError } from "./errors.ts";
import { commonFields, readRequest } from "./fields.ts";

/** OpenAI's default for this endpoint. */
const DEFAULT_MAX_TOKENS = 16;

const ids = z.array(z.int().min(0)).min(1).max(MAX_PROMPT_IDS);
const schema = z.object({
  ...commonFields,
  prompt: z.union([z.string(), ids, z.array(z.string()).min(1), z.array(ids).min(1)], {
    error: "must be a string, a list of token ids, or a list with one of them",
  }),
  max_tokens: z.int().min(0).max(MAX_PROMPT_IDS).nullish(),
  logprobs: z.int().min(0).max(MAX_LOGPROBS).nullish(),
});
export type CompletionRequest = z.infer<typeof schema>;

export const readCompletionRequest = (body: unknown): CompletionRequest =>
  readRequest(body, schema, schemaError);

/** The prompt's ids. Throws an ApiError for a prompt that this service or this target cannot take. */
export function promptIds({ prompt }: CompletionRequest, text: TargetText): number[] {
  if (typeof prompt === "string") return nonEmpty(encodePrompt(prompt, true, text, "prompt"), text);
  if (isIds(prompt)) return inVocabulary(prompt, text);
  if (prompt.length > 1) {
    throw invalidRequest(
      "prompt: only one prompt per request is supported",
      "prompt",
      "unsupported_parameter",
    );
  }
  const [only] = prompt;
  return typeof only === "string"
    ? nonEmpty(encodePrompt(only, true, text, "prompt"), text)
    : inVocabulary(only!, text);
}

export const maxTokensOf = (request: CompletionRequest, room: number): number =>
  request.max_tokens ?? Math.min(DEFAULT_MAX_TOKENS, room);

function isIds(prompt: readonly unknown[]): prompt is number[] {
  return typeof prompt[0] === "number";
}

/** An empty prompt still has the token that begins a text, where the target has one. */
function nonEmpty(prompt: number[], { manifest }: TargetText): number[] {
  if (prompt.length > 0) return prompt;
  if (manifest.bos_id !== null) return [manifest.bos_id];
  throw invalidRequest("prompt: must not be empty", "prompt");
}

function inVocabulary(prompt: number[], { manifest }: TargetText): number[] {
  const stranger = prompt.find((id) => id >= manifest.vocab_size);
  if (stranger === undefined) return prompt;
  throw invalidRequest(`prompt: token id ${stranger} is not below ${manifest.vocab_size}`, "prompt");
}
