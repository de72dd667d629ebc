/** Answers of `/v1/chat/completions`: a message, or deltas of one, role first. */
import type { CommittedToken, FinishReason } from "../completion/commit.ts";
import type { TargetText } from "../text/target-text.ts";
import type { Shape } from "./shape.ts";

type Tokens = Pick<TargetText, "bytesOf" | "nameOf">;

export function chatShape(text: Tokens, withLogprobs: boolean): Shape {
  const logprobs = (tokens: readonly CommittedToken[]) =>
    withLogprobs ? { content: tokens.map((token) => chatLogprob(token, text)), refusal: null } : null;
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

function chatLogprob({ id, logprob }: CommittedToken, { bytesOf, nameOf }: Tokens) {
  const entry = (tokenId: number, value: number) => {
    const bytes = bytesOf(tokenId);
    return { token: nameOf(tokenId), logprob: value, bytes: bytes.length > 0 ? Array.from(bytes) : null };
  };
  return {
    ...entry(id, logprob?.logprob ?? 0),
    top_logprobs: (logprob?.top ?? []).map(([topId, value]) => entry(topId, value)),
  };
}
