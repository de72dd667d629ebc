/** The OpenAPI 3.1 document of this API, at `GET /openapi.json`: its schemas are those that requests are read by. */
import { z } from "zod";
import { channelChangeSchema } from "../../protocol/channel-change.ts";
import { jobListSchema, jobSchema, newJobSchema } from "../../protocol/jobs.ts";

const errorSchema = z.object({
  error: z.object({ message: z.string(), type: z.string(), param: z.string().nullable() }),
});
const SCHEMAS = {
  NewJob: z.toJSONSchema(newJobSchema, { io: "input" }),
  Job: z.toJSONSchema(jobSchema, { io: "output" }),
  JobList: z.toJSONSchema(jobListSchema, { io: "output" }),
  ChannelChange: z.toJSONSchema(channelChangeSchema, { io: "input" }),
  Error: z.toJSONSchema(errorSchema),
};
type SchemaName = keyof typeof SCHEMAS;

type Answer = { description: string; schema?: SchemaName; type?: string };
type Operation = {
  summary: string;
  /** Open to everyone; the others need the bearer token. */
  isOpen?: boolean;
  body?: SchemaName;
  query?: Record<string, object>;
  answers: Record<number, Answer>;
};

const JOB: Answer = { description: "The job.", schema: "Job" };
const UNKNOWN: Answer = { description: "There is no such job.", schema: "Error" };
const REFUSED: Answer = { description: "The request is wrong; the text says where.", schema: "Error" };
const NOT_CONFIGURED: Answer = {
  description: "This service is not configured to publish, or the change cannot be made.",
  schema: "Error",
};
const HEALTH: Answer = { description: "It is.", type: "application/json" };

/** By path, then by method. */
const OPERATIONS: Record<string, Record<string, Operation>> = {
  "/v1/jobs": {
    post: {
      summary: "Post a job; the same idempotency key answers 200 with the first one.",
      body: "NewJob",
      answers: { 201: JOB, 200: JOB, 400: REFUSED, 409: NOT_CONFIGURED, 413: REFUSED, 415: REFUSED },
    },
    get: {
      summary: "Jobs, newest first.",
      query: { limit: { type: "integer", minimum: 1, maximum: 1000, default: 100 } },
      answers: { 200: { description: "The jobs.", schema: "JobList" }, 400: REFUSED },
    },
  },
  "/v1/jobs/{id}": { get: { summary: "A job.", answers: { 200: JOB, 404: UNKNOWN } } },
  "/v1/jobs/{id}/events": {
    get: {
      summary: "Server-sent events: one `job` event, a Job, for every change, until it is finished.",
      answers: { 200: { description: "The events.", type: "text/event-stream" }, 404: UNKNOWN },
    },
  },
  "/v1/jobs/{id}/logs": {
    get: {
      summary: "The last MiB of what set-up, trainer and gates printed.",
      answers: { 200: { description: "The log.", type: "text/plain" }, 404: UNKNOWN },
    },
  },
  "/v1/jobs/{id}/cancel": {
    post: {
      summary: "Cancel: the trainer ends with all its children, and what it made is removed.",
      answers: { 202: JOB, 404: UNKNOWN },
    },
  },
  "/v1/channels/{target}": {
    post: {
      summary: "Start or end a canary, or promote it; the record is signed here.",
      body: "ChannelChange",
      answers: {
        200: { description: "Done, or done before.", type: "application/json" },
        400: REFUSED,
        409: NOT_CONFIGURED,
      },
    },
  },
  "/openapi.json": {
    get: {
      summary: "This document.",
      isOpen: true,
      answers: { 200: { description: "OpenAPI 3.1.", type: "application/json" } },
    },
  },
  "/healthz": { get: { summary: "Does the service run?", isOpen: true, answers: { 200: HEALTH } } },
  "/readyz": { get: { summary: "Does it take jobs?", isOpen: true, answers: { 200: HEALTH } } },
  "/metrics": {
    get: {
      summary: "Metrics for Prometheus.",
      isOpen: true,
      answers: { 200: { description: "Metrics.", type: "text/plain" } },
    },
  },
};

export const openApiDocument = (): object => ({
  openapi: "3.1.0",
  info: {
    title: "Outrider training service",
    version: "1",
    description: "Jobs that train drafts, judge them and publish them.",
  },
  paths: mapValues(OPERATIONS, (methods, path) => mapValues(methods, (of) => describe(of, path))),
  components: {
    schemas: mapValues(SCHEMAS, ({ $schema: _, ...schema }) => schema),
    securitySchemes: { token: { type: "http", scheme: "bearer" } },
  },
});

function describe({ summary, isOpen, body, query, answers }: Operation, path: string): object {
  const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
    ...{ name, in: "path", required: true, schema: { type: "string" } },
  }));
  const inQuery = Object.entries(query ?? {}).map(([name, schema]) => ({ name, in: "query", schema }));
  const all = isOpen
    ? answers
    : { ...answers, 401: { description: "No token, or a wrong one.", schema: "Error" as const } };
  return {
    summary,
    ...(!isOpen && { security: [{ token: [] }] }),
    parameters: [...inPath, ...inQuery],
    ...(body && { requestBody: { required: true, content: contentOf({ schema: body }) } }),
    responses: mapValues(all, (answer) => ({ description: answer.description, content: contentOf(answer) })),
  };
}

const contentOf = ({ schema, type = "application/json" }: Pick<Answer, "schema" | "type">): object => ({
  [type]: schema ? { schema: { $ref: `#/components/schemas/${schema}` } } : {},
});

const mapValues = <T, U>(of: Record<string, T>, change: (value: T, key: string) => U): Record<string, U> =>
  Object.fromEntries(Object.entries(of).map(([key, value]) => [key, change(value, key)]));
