/** The choices of a whole answer while they are written, and which of them are shown. */
import type { CommittedToken } from "../completion/commit.ts";
import type { Finished, Usage } from "../completion/job.ts";
import { usageOf } from "../completion/job.ts";
import type { AnswerEvent } from "./echo.ts";

/** `perPrompt` completions of each prompt are made, `kept` of them shown: those of the best mean log probability. */
export type Choices = { perPrompt: number; kept: number };

export class Written {
  text = "";
  readonly tokens: CommittedToken[] = [];
  finished: Finished | undefined;
  #logprobs = 0;
  #scored = 0;

  add(event: AnswerEvent): void {
    if (event.type === "finished") this.finished = event;
    if (event.type !== "prompt" && event.type !== "delta") return;
    this.text += event.text;
    this.tokens.push(...event.tokens);
    if (event.type === "prompt") return;
    for (const { logprob } of event.tokens) {
      this.#logprobs += logprob?.logprob ?? 0;
      this.#scored++;
    }
  }

  /** Mean log probability of its tokens. */
  get score(): number {
    return this.#scored === 0 ? 0 : this.#logprobs / this.#scored;
  }
}

/** Those that are shown, prompt by prompt: all in their order, or the best first. */
export function chosen(all: readonly Written[], { perPrompt, kept }: Choices): Written[] {
  if (kept === perPrompt) return [...all];
  const shown: Written[] = [];
  for (let from = 0; from < all.length; from += perPrompt) {
    const best = all.slice(from, from + perPrompt).sort((a, b) => b.score - a.score);
    shown.push(...best.slice(0, kept));
  }
  return shown;
}

/** What a request took: a prompt counts once, every completion of it counts, shown or not. */
export function totalUsage(usages: readonly Usage[], { perPrompt }: Choices): Usage {
  const sum = (value: (usage: Usage, index: number) => number) =>
    usages.reduce((total, usage, index) => total + value(usage, index), 0);
  const usage = usageOf(
    sum(({ prompt_tokens }, index) => (index % perPrompt === 0 ? prompt_tokens : 0)),
    sum(({ completion_tokens }) => completion_tokens),
  );
  if (!usages.some((one) => one.completion_tokens_details)) return usage;
  const predicted = (kind: "accepted_prediction_tokens" | "rejected_prediction_tokens") =>
    sum(({ completion_tokens_details }) => completion_tokens_details?.[kind] ?? 0);
  return {
    ...usage,
    completion_tokens_details: {
      accepted_prediction_tokens: predicted("accepted_prediction_tokens"),
      rejected_prediction_tokens: predicted("rejected_prediction_tokens"),
    },
  };
}
