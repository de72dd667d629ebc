/** Answers of `/v1/completions`: `text`, and logprobs in the legacy form. */
import type { CommittedToken, FinishReason } from "../completion/commit.ts";
import type { TokenNames } from "../text/token-bytes.ts";
import type { Piece, Shape } from "./shape.ts";

export function completionShape(nameOf: TokenNames, withLogprobs: boolean): Shape {
  const choice = ({ text, tokens }: Piece, finish_reason: FinishReason | null) => ({
    index: 0,
    text,
    logprobs: withLogprobs ? legacyLogprobs(tokens, nameOf) : null,
    finish_reason,
  });
  return {
    idPrefix: "cmpl-",
    wholeObject: "text_completion",
    chunkObject: "text_completion",
    opening: () => undefined,
    chunk: (piece) => choice(piece, null),
    closing: (reason) => choice({ text: "", tokens: [] }, reason),
    whole: choice,
  };
}

/** `text_offset` counts from the beginning of the completion, in UTF-16 units. */
function legacyLogprobs(tokens: readonly CommittedToken[], nameOf: TokenNames) {
  return {
    tokens: tokens.map(({ id }) => nameOf(id)),
    token_logprobs: tokens.map(({ logprob }) => logprob?.logprob ?? 0),
    top_logprobs: tokens.map(({ logprob }) =>
      Object.fromEntries((logprob?.top ?? []).map(([id, value]) => [nameOf(id), value])),
    ),
    text_offset: tokens.map(({ offset }) => offset),
  };
}
