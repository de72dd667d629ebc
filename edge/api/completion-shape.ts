/** Answers of `/v1/completions`: `text`, and logprobs in the legacy form. */
import type { LogprobEntry } from "../../gpu-service/protocol/frames.ts";
import type { CommittedToken, FinishReason } from "../completion/commit.ts";
import type { TokenNames } from "../text/token-bytes.ts";
import type { Piece, Shape } from "./shape.ts";

export function completionShape(nameOf: TokenNames, showsTokens: boolean): Shape {
  const choice = (index: number, { text, tokens }: Piece, finish_reason: FinishReason | null) => ({
    index,
    text,
    logprobs: showsTokens ? legacyLogprobs(tokens, nameOf) : null,
    finish_reason,
  });
  return {
    idPrefix: "cmpl-",
    wholeObject: "text_completion",
    chunkObject: "text_completion",
    showsTokens,
    opening: () => undefined,
    chunk: (index, piece) => choice(index, piece, null),
    closing: (index, reason) => choice(index, { text: "", tokens: [] }, reason),
    whole: choice,
  };
}

/**
 * `text_offset` counts from the beginning of the choice's text, in UTF-16 units. The token that ends the text is one of
 * the tokens; the very first of a text, which nothing precedes, has null for its log probability.
 */
function legacyLogprobs(tokens: readonly CommittedToken[], nameOf: TokenNames) {
  return {
    tokens: tokens.map(({ id }) => nameOf(id)),
    token_logprobs: tokens.map(({ logprob }) => logprob?.logprob ?? null),
    top_logprobs: tokens.map(({ id, logprob }) => (logprob ? likeliest(id, logprob, nameOf) : null)),
    text_offset: tokens.map(({ offset }) => offset),
  };
}

/** By name: the likeliest tokens, and the one that stands there. Of two with the same name the likelier counts. */
function likeliest(id: number, { logprob, top }: LogprobEntry, nameOf: TokenNames): Record<string, number> {
  const named = new Map<string, number>();
  for (const [other, value] of [...top, [id, logprob] as const]) {
    const name = nameOf(other);
    if (!named.has(name)) named.set(name, value);
  }
  return Object.fromEntries(named);
}
