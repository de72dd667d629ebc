/** Answers of `/v1/chat/completions`: a message, or deltas of one, role first. */
import type { CommittedToken, FinishReason } from "../completion/commit.ts";
import type { TargetText } from "../text/target-text.ts";
import type { Shape } from "./shape.ts";

type Tokens = Pick<TargetText, "bytesOf" | "nameOf">;

export function chatShape(text: Tokens, showsTokens: boolean): Shape {
  const logprobs = (tokens: readonly CommittedToken[]) =>
    showsTokens ? { content: shown(tokens).map((token) => chatLogprob(token, text)), refusal: null } : null;
  const choice = (
    index: number,
    delta: object,
    tokens: readonly CommittedToken[],
    finish_reason: FinishReason | null,
  ) => ({ index, delta, logprobs: logprobs(tokens), finish_reason });
  return {
    idPrefix: "chatcmpl-",
    wholeObject: "chat.completion",
    chunkObject: "chat.completion.chunk",
    showsTokens,
    opening: (index) => choice(index, { role: "assistant", content: "", refusal: null }, [], null),
    chunk: (index, { text, tokens }) => choice(index, { content: text }, tokens, null),
    closing: (index, reason) => choice(index, {}, [], reason),
    whole: (index, { text, tokens }, finish_reason) => ({
      index,
      message: { role: "assistant", content: text, refusal: null },
      logprobs: logprobs(tokens),
      finish_reason,
    }),
  };
}

/** The token that ends the turn is no part of the message. */
const shown = (tokens: readonly CommittedToken[]) => tokens.filter(({ isEnd }) => !isEnd);

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
