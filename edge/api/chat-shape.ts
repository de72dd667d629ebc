/** Answers of `/v1/chat/completions`: a message, or deltas of one, role first. */
import type { CommittedToken, FinishReason } from "../completion/commit.ts";
import { type TokenBytes, tokenText } from "../text/token-bytes.ts";
import type { Shape } from "./shape.ts";

export function chatShape(bytesOf: TokenBytes, withLogprobs: boolean): Shape {
  const logprobs = (tokens: readonly CommittedToken[]) =>
    withLogprobs ? { content: tokens.map((token) => chatLogprob(token, bytesOf)), refusal: null } : null;
  const delta = (delta: object, tokens: readonly CommittedToken[], finish_reason: FinishReason | null) => ({
    index: 0,
    delta,
    logprobs: logprobs(tokens),
    finish_reason,
  });
  return {
    idPrefix: "chatcmpl-",
    wholeObject: "chat.completion",
    chunkObject: "chat.completion.chunk",
    opening: () => delta({ role: "assistant", content: "", refusal: null }, [], null),
    chunk: ({ text, tokens }) => delta({ content: text }, tokens, null),
    closing: (reason) => delta({}, [], reason),
    whole: ({ text, tokens }, finish_reason) => ({
      index: 0,
      message: { role: "assistant", content: text, refusal: null },
      logprobs: logprobs(tokens),
      finish_reason,
    }),
  };
}

function chatLogprob({ id, logprob }: CommittedToken, bytesOf: TokenBytes) {
  const entry = (tokenId: number, value: number) => {
    const bytes = bytesOf(tokenId);
    return { token: tokenText(bytes), logprob: value, bytes: Array.from(bytes) };
  };
  return {
    ...entry(id, logprob?.logprob ?? 0),
    top_logprobs: (logprob?.top ?? []).map(([topId, value]) => entry(topId, value)),
  };
}
