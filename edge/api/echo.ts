/** `echo`: the prompt's own text and tokens, as the first piece of a choice. */
import type { CommittedToken } from "../completion/commit.ts";
import type { CompletionEvent } from "../completion/job.ts";
import { Detokenizer } from "../text/detokenizer.ts";
import type { TargetText } from "../text/target-text.ts";
import type { Prompt } from "./completion-request.ts";

export type Echo = { text: string; offsets: readonly number[]; ids: readonly number[] };
/** What a choice's answer is made of. */
export type AnswerEvent =
  | CompletionEvent
  | { type: "prompt"; text: string; tokens: readonly CommittedToken[] };

/**
 * A prompt of ids is shown as they are read, special tokens by their names. One of text is shown as it is; a token
 * that the tokenizer put in front of it takes up none of it.
 */
export function echoOf(
  prompt: Prompt,
  ids: readonly number[],
  text: Pick<TargetText, "bytesOf" | "nameOf">,
): Echo {
  const detokenizer = new Detokenizer(text.bytesOf);
  const given = typeof prompt === "string" ? prompt : undefined;
  const offsets: number[] = [];
  let shown = "";
  let at = 0;
  for (const id of ids) {
    offsets.push(Math.min(at, given?.length ?? at));
    const isSpecial = text.bytesOf(id).length === 0;
    const piece = isSpecial ? text.nameOf(id) : detokenizer.push(id);
    if (isSpecial && given !== undefined && !given.startsWith(piece, at)) continue;
    shown += piece;
    at += piece.length;
  }
  return { text: given ?? shown + detokenizer.end(), offsets, ids };
}

/** A choice's events with the prompt in front. `scored`: the verifier was asked for the prompt's logprobs. */
export async function* withEcho(
  events: AsyncGenerator<CompletionEvent, void>,
  echo: Echo,
  scored: boolean,
): AsyncGenerator<AnswerEvent, void> {
  for await (const event of events) {
    yield event.type === "delta"
      ? { ...event, tokens: event.tokens.map((token) => behind(token, echo)) }
      : event;
    if (event.type !== "opened") continue;
    const logprobs = event.opened.prompt_logprobs;
    if (scored && logprobs?.length !== echo.ids.length) {
      const message = "the verifier sent no log probabilities of the prompt";
      yield { type: "failed", failure: { kind: "verifier", code: "internal", message, retryable: false } };
      return;
    }
    const tokens = echo.ids.map((id, i) => ({ id, offset: echo.offsets[i]!, logprob: logprobs?.[i] }));
    yield { type: "prompt", text: echo.text, tokens };
  }
}

const behind = (token: CommittedToken, { text }: Echo): CommittedToken => ({
  ...token,
  offset: text.length + token.offset,
});
