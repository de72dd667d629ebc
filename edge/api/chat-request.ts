/** `POST /v1/chat/completions`: from the body to what a completion needs. */
import { z } from "zod";
import { MAX_LOGPROBS, MAX_PROMPT_IDS } from "../../gpu-service/protocol/frames.ts";
import type { ChatMessage } from "../text/chat-template.ts";
import type { TargetText } from "../text/target-text.ts";
import { encodePrompt } from "./encode.ts";
import { invalidRequest } from "./errors.ts";
import { commonFields } from "./fields.ts";
import { readRequest } from "./read.ts";

const MAX_MESSAGES = 1024;

const textPart = z.strictObject({
  type: z.literal("text", { error: "only text parts are supported" }),
  text: z.string(),
});
const content = z.union([z.string(), z.array(textPart).min(1)], {
  error: "must be a string or a list of text parts",
});
const message = z.strictObject({
  role: z.enum(["system", "developer", "user", "assistant"], {
    error: "must be system, developer, user or assistant",
  }),
  content,
  name: z.string().max(128).nullish(),
  refusal: z.null().optional(),
});

export const chatSchema = z.strictObject({
  ...commonFields,
  messages: z.array(message).min(1).max(MAX_MESSAGES),
  max_tokens: z.int().min(1).max(MAX_PROMPT_IDS).nullish(),
  max_completion_tokens: z.int().min(1).max(MAX_PROMPT_IDS).nullish(),
  logprobs: z.boolean().nullish(),
  top_logprobs: z.int().min(0).max(MAX_LOGPROBS).nullish(),
});
export type ChatRequest = z.output<typeof chatSchema>;

export function readChatRequest(body: unknown): ChatRequest {
  const request = readRequest(body, chatSchema);
  if (request.top_logprobs != null && !request.logprobs) {
    throw invalidRequest("top_logprobs is only allowed with logprobs: true", "top_logprobs");
  }
  return request;
}

/** The prompt's ids, by the target's chat template. Throws an ApiError where it has none or refuses the messages. */
export function chatPromptIds({ messages }: ChatRequest, text: TargetText): number[] {
  if (!text.chat) {
    throw invalidRequest(`The model ${text.manifest.id} has no chat template; use /v1/completions.`, "model");
  }
  const rendered = text.chat(messages.map(toChatMessage));
  if (!rendered.ok) throw invalidRequest(`messages: ${rendered.message}`, "messages");
  return encodePrompt(rendered.text, false, text, "messages");
}

export const chatMaxTokensOf = (request: ChatRequest, room: number): number =>
  request.max_completion_tokens ?? request.max_tokens ?? room;

/** How many likeliest tokens are wanted beside each; undefined: no logprobs at all. */
export const chatLogprobsOf = (request: ChatRequest): number | undefined =>
  request.logprobs ? (request.top_logprobs ?? 0) : undefined;

/** `developer` is the newer name of `system`; templates know only the older one. */
function toChatMessage({ role, content, name }: ChatRequest["messages"][number]): ChatMessage {
  return {
    role: role === "developer" ? "system" : role,
    content: typeof content === "string" ? content : content.map((part) => part.text).join(""),
    ...(name != null && { name }),
  };
}
