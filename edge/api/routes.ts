/** The public routes as OpenAPI knows them. Their bodies are the schemas that requests are read with. */
import type { z } from "zod";
import {
  chatAnswer,
  completionAnswer,
  errorAnswer,
  healthAnswer,
  modelList,
  modelWithDraft,
} from "./answer-schemas.ts";
import { chatSchema } from "./chat-request.ts";
import { completionSchema } from "./completion-request.ts";

export type Route = {
  method: "get" | "post";
  /** With `{name}` for what varies. */
  path: string;
  summary: string;
  needsKey: boolean;
  /** Name in `SCHEMAS`. */
  body?: SchemaName;
  answer: SchemaName;
  streams?: true;
  /** Status and what it means, of answers that are no success. */
  failures: Record<number, string>;
};

/** `input`: what is sent; `output`: what is answered. */
export const SCHEMAS = {
  CompletionRequest: { schema: completionSchema, io: "input" },
  ChatRequest: { schema: chatSchema, io: "input" },
  Completion: { schema: completionAnswer, io: "output" },
  ChatCompletion: { schema: chatAnswer, io: "output" },
  ModelList: { schema: modelList, io: "output" },
  Model: { schema: modelWithDraft, io: "output" },
  Health: { schema: healthAnswer, io: "output" },
  Error: { schema: errorAnswer, io: "output" },
} satisfies Record<string, { schema: z.ZodType; io: "input" | "output" }>;
export type SchemaName = keyof typeof SCHEMAS;

const refusals = {
  401: "The key is missing, wrong, revoked or expired.",
  403: "The key lacks the scope.",
  429: "Too many requests (`retry-after`), or the key's token quota does not suffice.",
};
const noModel = { 404: "There is no such model." };
const completionFailures = {
  400: "A field is wrong or not supported; `param` names it.",
  413: "The body is too large.",
  ...noModel,
  ...refusals,
  503: "No verifier takes the request now; `retry-after` tells when to ask again.",
};

export const ROUTES = {
  completions: {
    ...{ method: "post", path: "/v1/completions", summary: "Continues texts", needsKey: true },
    ...{ body: "CompletionRequest", answer: "Completion", streams: true, failures: completionFailures },
  },
  chat: {
    ...{ method: "post", path: "/v1/chat/completions", summary: "Answers a chat", needsKey: true },
    ...{ body: "ChatRequest", answer: "ChatCompletion", streams: true, failures: completionFailures },
  },
  models: {
    ...{ method: "get", path: "/v1/models", summary: "Lists the models", needsKey: true },
    ...{ answer: "ModelList", failures: refusals },
  },
  model: {
    ...{ method: "get", path: "/v1/models/{id}", summary: "A model and its draft release", needsKey: true },
    ...{ answer: "Model", failures: { ...noModel, ...refusals } },
  },
  health: {
    ...{ method: "get", path: "/healthz", summary: "Whether the worker runs", needsKey: false },
    ...{ answer: "Health", failures: {} },
  },
} satisfies Record<string, Route>;
