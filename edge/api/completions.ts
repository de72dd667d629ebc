/** Handlers of the two completion endpoints. */
import type { Context } from "hono";
import type { Sampling } from "../../gpu-service/protocol/frames.ts";
import { complete } from "../completion/completion.ts";
import { readTestHints } from "../drafting/drafting.ts";
import type { TargetText } from "../text/target-text.ts";
import { chatLogprobsOf, chatMaxTokensOf, chatPromptIds, readChatRequest } from "./chat-request.ts";
import { chatShape } from "./chat-shape.ts";
import { maxTokensOf, promptIds, readCompletionRequest } from "./completion-request.ts";
import { completionShape } from "./completion-shape.ts";
import type { AppEnv } from "./context.ts";
import { detailsOf } from "./details.ts";
import { ApiError, failureToError, invalidRequest, notFound } from "./errors.ts";
import { type CommonRequest, samplingOf } from "./fields.ts";
import { predictionIds } from "./prediction.ts";
import { respondStream, respondWhole } from "./respond.ts";
import type { Shape } from "./shape.ts";

type AppContext = Context<AppEnv>;

export async function createCompletion(c: AppContext): Promise<Response> {
  const request = readCompletionRequest(await jsonBody(c));
  const text = await targetText(c, request.model);
  const prompt = promptIds(request, text);
  const maxTokens = maxTokensOf(request, roomFor(prompt, text, "prompt"));
  const shape = completionShape(text.nameOf, request.logprobs != null);
  return answer(c, { request, text, prompt, maxTokens, logprobs: request.logprobs ?? undefined, shape });
}

export async function createChatCompletion(c: AppContext): Promise<Response> {
  const request = readChatRequest(await jsonBody(c));
  const text = await targetText(c, request.model);
  const prompt = chatPromptIds(request, text);
  const maxTokens = chatMaxTokensOf(request, roomFor(prompt, text, "messages"));
  const logprobs = chatLogprobsOf(request);
  const shape = chatShape(text, logprobs !== undefined);
  return answer(c, { request, text, prompt, maxTokens, logprobs, shape });
}

type Prepared = {
  request: CommonRequest;
  text: TargetText;
  prompt: number[];
  maxTokens: number;
  logprobs: number | undefined;
  shape: Shape;
};

function answer(c: AppContext, prepared: Prepared): Promise<Response> {
  const { request, text, prompt, maxTokens, logprobs, shape } = prepared;
  checkRoom(prompt, maxTokens, text);
  const sampling = samplingOf(request);
  checkBias(sampling, text);
  const wantsReport = c.req.header("x-outrider-details") === "1";
  const { config, links, recall: recallFor, startDrafting } = c.var.services;
  const hints = readTestHints(c.req.header("x-outrider-hints"), config.testHints);
  if (!hints) throw invalidRequest("x-outrider-hints: must be honest, random, adversarial or wrong");
  const vocabulary = text.manifest.vocab_size;
  const drafts = c.req.header("x-outrider-drafts") !== "off";
  const { tenant } = c.var;
  const prediction = predictionIds(request.prediction, text);
  const recall = drafts && mayRemember(c) ? recallFor({ tenant, text, prompt }) : undefined;
  const drafting = startDrafting(
    { prompt, sampling, tenant, maxTokens, vocabulary, drafts, hints, ...(prediction && { prediction }) },
    recall?.source,
  );
  const aborted = new AbortController();
  const signal = AbortSignal.any([c.req.raw.signal, aborted.signal]);
  const stops = request.stop ?? [];
  const release = drafting.state.release ?? undefined;
  const job = {
    ...{ text, prompt, sampling, maxTokens, stops, logprobs, tenant, release, wantsReport, signal },
    hasPrediction: prediction !== undefined,
    ...(recall && { remember: recall.remember }),
  };
  const events = complete(job, links(prompt), drafting.drafter);
  const settings = {
    shape,
    model: request.model,
    includeUsage: request.stream_options?.include_usage === true,
    details: wantsReport
      ? ({ report }: { report: Parameters<typeof detailsOf>[2] }) =>
          detailsOf(sampling.seed, drafting.state, report)
      : undefined,
  };
  const respond = request.stream ? respondStream : respondWhole;
  return respond(events, settings, () => aborted.abort());
}

/** HTTP's word for "keep nothing of this": neither is anything that was kept used. */
const mayRemember = (c: AppContext): boolean =>
  !/(^|,)\s*no-store\s*(,|$)/i.test(c.req.header("cache-control") ?? "");

async function jsonBody(c: AppContext): Promise<unknown> {
  try {
    return await c.req.json();
  } catch (error) {
    if (error instanceof ApiError) throw error;
    throw invalidRequest("The body is not JSON.");
  }
}

async function targetText(c: AppContext, model: string): Promise<TargetText> {
  const { services } = c.var;
  if (model !== services.config.target) {
    throw notFound(`The model ${model} does not exist.`, "model", "model_not_found");
  }
  try {
    return await services.text();
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw failureToError({ kind: "target-unavailable", message });
  }
}

/** Positions left for output. Throws where the prompt leaves none. */
function roomFor(prompt: readonly number[], { manifest }: TargetText, param: string): number {
  const room = manifest.context - prompt.length;
  if (room > 0) return room;
  const message = `The prompt has ${prompt.length} tokens; the model's context holds ${manifest.context}.`;
  throw invalidRequest(message, param, "context_length_exceeded");
}

function checkRoom(prompt: readonly number[], maxTokens: number, { manifest }: TargetText): void {
  if (prompt.length + maxTokens <= manifest.context) return;
  const message =
    `The prompt has ${prompt.length} tokens and ${maxTokens} more were asked for; ` +
    `the model's context holds ${manifest.context}.`;
  throw invalidRequest(message, "max_tokens", "context_length_exceeded");
}

function checkBias({ logit_bias }: Sampling, { manifest }: TargetText): void {
  const stranger = logit_bias.find(([id]) => id >= manifest.vocab_size);
  if (!stranger) return;
  const message = `logit_bias: token id ${stranger[0]} is not below ${manifest.vocab_size}`;
  throw invalidRequest(message, "logit_bias");
}
