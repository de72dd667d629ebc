/** Which sequences an engine takes: everything about a `start` that can be wrong, by name. */
import type { ErrorFrame, HintFrame } from "../../protocol/frames.ts";
import { scoresFit } from "../../protocol/frames.ts";
import type { StartFrame } from "../engines/engine.ts";

export type Refusal = Pick<ErrorFrame, "code" | "message" | "retryable">;
type Limits = { vocabSize: number; context: number; numerics: string };

const MAX_SEED = (1n << 64n) - 1n;

const refusal = (code: ErrorFrame["code"], message: string): Refusal => ({
  code,
  message,
  retryable: false,
});

/** Why this sequence cannot run, or undefined. */
export function refuseStart(start: StartFrame, limits: Limits): Refusal | undefined {
  const { prompt, confirmed = [], numerics, prompt_logprobs, sampling } = start;
  if (confirmed.length > 0 && numerics === undefined)
    return refusal("invalid_request", "confirmed: needs the numerics id under which they were made");
  if (numerics !== undefined && numerics !== limits.numerics)
    return refusal("numerics_mismatch", `numerics: ${numerics} is not served here, only ${limits.numerics}`);
  const length = prompt.length + confirmed.length;
  if (prompt.length > limits.context || (start.max_tokens > 0 && length >= limits.context))
    return refusal(
      "context_too_long",
      `prompt: ${length} ids leave no room in a context of ${limits.context}`,
    );
  for (const [name, ids] of [["prompt", prompt] as const, ["confirmed", confirmed] as const]) {
    const bad = ids.findIndex((id) => id >= limits.vocabSize);
    if (bad >= 0)
      return refusal(
        "invalid_request",
        `${name}.${bad}: id ${ids[bad]} is not below the vocabulary's ${limits.vocabSize}`,
      );
  }
  if (confirmed.length > start.max_tokens)
    return refusal(
      "invalid_request",
      `confirmed: ${confirmed.length} ids, but max_tokens is ${start.max_tokens}`,
    );
  if (BigInt(sampling.seed) > MAX_SEED)
    return refusal("invalid_request", "sampling.seed: does not fit 64 bits");
  if (prompt_logprobs !== undefined && !scoresFit(prompt.length, prompt_logprobs))
    return refusal(
      "invalid_request",
      `prompt_logprobs: ${prompt.length} ids with ${prompt_logprobs} each do not fit in one frame`,
    );
  return undefined;
}

/** The hint without ids that the target does not know: each list ends before its first such id. */
export function knownIds(hint: HintFrame, vocabSize: number): HintFrame | undefined {
  const known = (ids: number[]) => {
    const bad = ids.findIndex((id) => id >= vocabSize);
    return bad < 0 ? ids : ids.slice(0, bad);
  };
  const ids = known(hint.ids);
  const branches = (hint.branches ?? []).map((b) => ({ ...b, ids: known(b.ids) }));
  if (ids.length === 0) return undefined;
  return { ...hint, ids, branches: branches.filter((b) => b.ids.length > 0) };
}
