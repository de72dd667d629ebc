/** `POST /v1/completions`: what its body may be. */
import { z } from "zod";
import { MAX_LOGPROBS, MAX_PROMPT_IDS } from "../../gpu-service/protocol/frames.ts";
import { invalidRequest } from "./errors.ts";
import { commonFields } from "./fields.ts";
import { readRequest } from "./read.ts";

/** OpenAI's default for this endpoint. */
const DEFAULT_MAX_TOKENS = 16;
/** Sequences of one request: prompts times candidates. */
const MAX_SEQUENCES = 256;
const MAX_BEST_OF = 20;

const ids = z.array(z.int().min(0)).min(1).max(MAX_PROMPT_IDS);
const prompt = z.union(
  [z.string(), ids, z.array(z.string()).min(1).max(MAX_SEQUENCES), z.array(ids).min(1).max(MAX_SEQUENCES)],
  { error: "must be a string, a list of token ids, or a list of either" },
);

export const completionSchema = z.strictObject({
  ...commonFields,
  prompt,
  suffix: z.string().nullish().describe("What follows the output, where the model can fill in a middle."),
  max_tokens: z
    .int()
    .min(0)
    .max(MAX_PROMPT_IDS)
    .nullish()
    .describe("16 by default; 0 with echo only scores the prompt."),
  logprobs: z
    .int()
    .min(0)
    .max(MAX_LOGPROBS)
    .nullish()
    .describe("Log probabilities, and so many likeliest tokens beside each."),
  echo: z.boolean().nullish().describe("The prompt comes first, with its log probabilities."),
  best_of: z
    .int()
    .min(1)
    .max(MAX_BEST_OF)
    .nullish()
    .describe("So many are made of each prompt, the n of the best mean log probability are shown."),
});
export type CompletionRequest = z.output<typeof completionSchema>;
export type Prompt = string | readonly number[];

/** Throws an ApiError that names the field at fault. */
export function readCompletionRequest(body: unknown): CompletionRequest {
  const request = readRequest(body, completionSchema);
  const { best_of, echo, suffix, stream } = request;
  const n = request.n ?? 1;
  if (best_of != null && best_of < n) throw invalidRequest("best_of: must not be below n", "best_of");
  if (best_of != null && best_of > n && stream) {
    throw invalidRequest(
      "best_of: which is best is known only at the end, so it cannot be streamed",
      "best_of",
    );
  }
  if (echo && suffix) throw invalidRequest("echo: cannot be combined with suffix", "echo");
  const sequences = promptsOf(request).length * candidatesOf(request);
  if (sequences > MAX_SEQUENCES) {
    const message = `prompt: ${sequences} sequences (prompts times choices) are more than ${MAX_SEQUENCES}`;
    throw invalidRequest(message, "prompt");
  }
  return request;
}

/** The four forms of `prompt` as one. */
export function promptsOf({ prompt }: CompletionRequest): readonly Prompt[] {
  if (typeof prompt === "string") return [prompt];
  return isIds(prompt) ? [prompt] : prompt;
}

/** How many completions of a prompt are made. */
export const candidatesOf = ({ n, best_of }: CompletionRequest): number => best_of ?? n ?? 1;

export const maxTokensOf = (request: CompletionRequest, room: number): number =>
  request.max_tokens ?? Math.min(DEFAULT_MAX_TOKENS, room);

function isIds(prompt: readonly unknown[]): prompt is number[] {
  return typeof prompt[0] === "number";
}
