/** Runs the completions that a request asks for and answers with them. */
import type { Context } from "hono";
import type { Finished } from "../completion/job.ts";
import type { TargetText } from "../text/target-text.ts";
import { checkBias, checkRoom } from "./checks.ts";
import { choiceEvents } from "./choices.ts";
import type { AppEnv } from "./context.ts";
import { detailsOf } from "./details.ts";
import type { Echo } from "./echo.ts";
import { type CommonRequest, samplingOf, samplingOfChoice } from "./fields.ts";
import { predictionIds } from "./prediction.ts";
import { respondStream, respondWhole } from "./respond.ts";
import { type Begun, beginSequence, type Planned, readWishes } from "./sequence.ts";
import type { Shape } from "./shape.ts";
import type { Choices } from "./written.ts";

export type Prepared = {
  request: CommonRequest;
  text: TargetText;
  prompts: readonly { ids: number[]; maxTokens: number; echo?: Echo }[];
  choices: Choices;
  /** Likeliest tokens that are shown beside each; undefined: no logprobs. */
  logprobs: number | undefined;
  shape: Shape;
};

/** Throws an ApiError for what can still be refused. */
export async function generate(c: Context<AppEnv>, prepared: Prepared): Promise<Response> {
  const { request, text, choices, shape } = prepared;
  const planned = plan(prepared);
  const wishes = readWishes(c);
  const aborted = new AbortController();
  const common = {
    ...{ text, wishes, stops: request.stop ?? [], prediction: predictionIds(request.prediction, text) },
    // Which completion is best shows in its log probabilities.
    logprobs: choices.kept < choices.perPrompt ? (prepared.logprobs ?? 0) : prepared.logprobs,
    showsTokens: shape.showsTokens,
    signal: AbortSignal.any([c.req.raw.signal, aborted.signal]),
  };
  const begun: Begun[] = [];
  const runs = planned.map((sequence, index) => () => {
    begun[index] = beginSequence(c, sequence, common, () => {});
    return begun[index].events;
  });
  const details = (index: number, { report }: Finished) =>
    detailsOf(planned[index]!.sampling.seed, begun[index]!.drafts, report);
  const answer = {
    ...{ shape, choices, model: request.model },
    includeUsage: request.stream_options?.include_usage === true,
    details: wishes.details ? details : undefined,
  };
  const abort = () => aborted.abort();
  const respond = request.stream ? respondStream : respondWhole;
  return respond(choiceEvents(runs, abort), answer, abort);
}

/** Prompt by prompt, candidate by candidate. */
function plan({ request, text, prompts, choices }: Prepared): Planned[] {
  const sampling = samplingOf(request);
  checkBias(sampling, text);
  return prompts.flatMap((prompt) => {
    checkRoom(prompt.ids, prompt.maxTokens, text);
    return Array.from({ length: choices.perPrompt }, (_, k) => ({
      ...prompt,
      sampling: samplingOfChoice(sampling, k),
    }));
  });
}
