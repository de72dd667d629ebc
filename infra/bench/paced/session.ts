/** One completion by the edge's own code (completion, drafter, frames) on a verifier, and when its tokens came. */
import { complete } from "../../../edge/completion/completion.ts";
import type { CompletionJob } from "../../../edge/completion/job.ts";
import type { Drafter } from "../../../edge/drafting/drafter.ts";
import type { VerifierLink } from "../../../edge/link/link.ts";
import type { DoneFrame, Sampling } from "../../../gpu-service/protocol/frames.ts";

export type Timed = {
  ids: number[];
  /** When each id was delivered: milliseconds of performance.now(). */
  times: number[];
  startedAt: number;
  report: DoneFrame | undefined;
};

export type BenchTarget = { id: string; tokenizer: string; vocabulary: number };
export type SessionSettings = {
  target: BenchTarget;
  prompt: readonly number[];
  maxTokens: number;
  seed: string;
  temperature: number;
};

export const CONTEXT = 512;
const LETTER = new TextEncoder().encode("a");

/** The completion ended with a failure that its client would be told of. */
export class SessionFailed extends Error {
  override name = "SessionFailed";
}

/** `drafter` absent: drafts are off. `links`: replicas in turn. Throws SessionFailed. */
export async function runSession(
  settings: SessionSettings,
  links: readonly VerifierLink[],
  drafter: Drafter | undefined,
): Promise<Timed> {
  const timed: Timed = { ids: [], times: [], startedAt: performance.now(), report: undefined };
  for await (const event of complete(jobOf(settings), links, drafter)) {
    if (event.type === "failed") throw new SessionFailed(JSON.stringify(event.failure));
    if (event.type === "finished") timed.report = event.report ?? undefined;
    if (event.type !== "delta") continue;
    for (const { id } of event.tokens) {
      timed.ids.push(id);
      timed.times.push(performance.now());
    }
  }
  return timed;
}

/** Tokens per second from the first token to the last: (tokens − 1) / time between them. */
export function tokSOf({ times }: Pick<Timed, "times">): number {
  return ((times.length - 1) / (times.at(-1)! - times[0]!)) * 1000;
}

function jobOf({ target, prompt, maxTokens, seed, temperature }: SessionSettings): CompletionJob {
  const sampling: Sampling = {
    ...{ temperature, top_p: 1, top_k: 0, min_p: 0, seed },
    ...{ presence_penalty: 0, frequency_penalty: 0, logit_bias: [] },
  };
  return {
    // One letter for each id, and no end but the cap: every text has the same length and every id shows at once.
    text: {
      manifest: {
        ...{ format_version: 1, kind: "target", id: target.id, tokenizer_sha256: target.tokenizer },
        ...{ vocab_size: target.vocabulary, context: CONTEXT, bos_id: null, eos_ids: [] },
        ...{ files: { "tokenizer.json": { sha256: target.tokenizer, bytes: 0 } } },
        ...{ chat_template: null, special: null },
      },
      mostCharacters: Number.POSITIVE_INFINITY,
      encode: () => [],
      bytesOf: () => LETTER,
      nameOf: (id) => String(id),
      chat: undefined,
      infill: undefined,
    },
    ...{ prompt, sampling, maxTokens, stops: [], logprobs: undefined, tenant: "bench", release: undefined },
    ...{ wantsReport: true, signal: new AbortController().signal },
  };
}
