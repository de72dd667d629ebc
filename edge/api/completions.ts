/** Handlers of the two completion endpoints: from the body to what is to be generated. */
import type { Context } from "hono";
import { chatLogprobsOf, chatMaxTokensOf, chatPromptIds, readChatRequest } from "./chat-request.ts";
import { chatShape } from "./chat-shape.ts";
import { roomFor, targetText } from "./checks.ts";
import { candidatesOf, maxTokensOf, promptsOf, readCompletionRequest } from "./completion-request.ts";
import { completionShape } from "./completion-shape.ts";
import type { AppEnv } from "./context.ts";
import { echoOf } from "./echo.ts";
import { ApiError, invalidRequest } from "./errors.ts";
import { generate } from "./generate.ts";
import { promptIds } from "./prompt.ts";

export async function createCompletion(c: Context<AppEnv>): Promise<Response> {
  const request = readCompletionRequest(await jsonBody(c));
  const text = await targetText(c.var.services, request.model);
  const least = request.max_tokens === 0 ? 0 : 1;
  const prompts = promptsOf(request).map((prompt) => {
    const ids = promptIds(prompt, request, text);
    const maxTokens = maxTokensOf(request, roomFor(ids, text, { param: "prompt", least }));
    return { ids, maxTokens, ...(request.echo && { echo: echoOf(prompt, ids, text) }) };
  });
  const choices = { perPrompt: candidatesOf(request), kept: request.n ?? 1 };
  const logprobs = request.logprobs ?? undefined;
  const shape = completionShape(text.nameOf, logprobs !== undefined);
  return generate(c, { request, text, prompts, choices, logprobs, shape });
}

export async function createChatCompletion(c: Context<AppEnv>): Promise<Response> {
  const request = readChatRequest(await jsonBody(c));
  const text = await targetText(c.var.services, request.model);
  const ids = chatPromptIds(request, text);
  const maxTokens = chatMaxTokensOf(request, roomFor(ids, text, { param: "messages", least: 1 }));
  const n = request.n ?? 1;
  const logprobs = chatLogprobsOf(request);
  const shape = chatShape(text, logprobs !== undefined);
  const choices = { perPrompt: n, kept: n };
  return generate(c, { request, text, prompts: [{ ids, maxTokens }], choices, logprobs, shape });
}

async function jsonBody(c: Context<AppEnv>): Promise<unknown> {
  try {
    return await c.req.json();
  } catch (error) {
    if (error instanceof ApiError) throw error;
    throw invalidRequest("The body is not JSON.");
  }
}
