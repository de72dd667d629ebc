/** Runs the completions that a request asks for, on its key's account, and answers with them. */
import type { Context } from "hono";
import type { Finished } from "../completion/job.ts";
import type { TargetText } from "../text/target-text.ts";
import { admitted, chargeOf } from "./admission.ts";
import { checkBias, checkRoom, checkScores } from "./checks.ts";
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
  const signal = AbortSignal.any([c.req.raw.signal, aborted.signal]);
  const common = {
    ...{ text, wishes, signal, stops: request.stop ?? [] },
    prediction: predictionIds(request.prediction, text),
    // Which completion is best shows in its log probabilities.
    logprobs: choices.kept < choices.perPrompt ? (prepared.logprobs ?? 0) : prepared.logprobs,
    showsTokens: shape.showsTokens,
  };
  const charge = chargeOf(c, planned, choices);
  const begun: Begun[] = [];
  const runs = planned.map((sequence, index) => () => {
    begun[index] = beginSequence(c, sequence, common, (tokens) => charge.add(tokens));
    return begun[index].events;
  });
  /** Ends what runs, which tells how far it came, and settles. */
  const end = () => {
    aborted.abort();
    charge.settle();
  };
  // Nobody may pull the events of a client that has left. The sequences hear of it first.
  signal.addEventListener("abort", () => queueMicrotask(end));
  const taken = (index: number) => {
    if (index % choices.perPrompt === 0) charge.add(planned[index]!.ids.length);
  };
  const events = choiceEvents(runs, { taken, ended: end });
  const headers = await admitted(c, charge, events, end);
  const details = (index: number, { report }: Finished) =>
    detailsOf(planned[index]!.sampling.seed, begun[index]!.drafts, report);
  const answer = {
    ...{ shape, choices, model: request.model },
    includeUsage: request.stream_options?.include_usage === true,
    details: wishes.details ? details : undefined,
  };
  const respond = request.stream ? respondStream : respondWhole;
  const response = respond(events, answer, end);
  for (const [name, value] of Object.entries(headers)) response.headers.set(name, value);
  return response;
}

/** Prompt by prompt, candidate by candidate. */
function plan({ request, text, prompts, choices, logprobs }: Prepared): Planned[] {
  const sampling = samplingOf(request);
  checkBias(sampling, text);
  return prompts.flatMap((prompt) => {
    checkRoom(prompt.ids, prompt.maxTokens, text);
    if (prompt.echo && logprobs !== undefined) checkScores(prompt.ids, logprobs);
    return Array.from({ length: choices.perPrompt }, (_, k) => ({
      ...prompt,
      sampling: samplingOfChoice(sampling, k),
    }));
  });
}
