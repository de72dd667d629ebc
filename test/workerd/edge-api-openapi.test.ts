import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import {
  chatAnswer,
  completionAnswer,
  errorAnswer,
  modelList,
  modelWithDraft,
} from "../../edge/api/answer-schemas.ts";
import { END_ID } from "../support/byte-tokenizer.ts";
import { ScriptedVerifier } from "../support/scripted-verifier.ts";
import { call, migrate, newKey, publishTarget, routeLinksTo, TARGET } from "./support.ts";

let key: string;
beforeAll(async () => {
  await migrate();
  await publishTarget();
  ({ key } = await newKey());
});
beforeEach(() => {
  routeLinksTo(new ScriptedVerifier({ next: (text) => (text.length % 7 === 0 ? END_ID : 65) }));
});
afterEach(() => vi.restoreAllMocks());

type Schema = { properties: Record<string, unknown>; required: string[]; additionalProperties: boolean };
type Document = {
  openapi: string;
  paths: Record<string, Record<string, { responses: Record<string, unknown> }>>;
  components: { schemas: Record<string, Schema> };
};
const document = async (): Promise<Document> => (await call("/openapi.json")).json();

describe("the OpenAPI document", () => {
  it("describes the routes without asking for a key", async () => {
    const { openapi, paths } = await document();
    expect(openapi).toBe("3.1.0");
    expect(Object.keys(paths)).toEqual([
      "/v1/completions",
      "/v1/chat/completions",
      "/v1/models",
      "/v1/models/{id}",
      "/healthz",
    ]);
  });

  it("has every field that a request may have, and no other", async () => {
    const { CompletionRequest, ChatRequest } = (await document()).components.schemas;
    for (const [schema, needed] of [
      [CompletionRequest!, "prompt"],
      [ChatRequest!, "messages"],
    ] as const) {
      expect(schema.additionalProperties).toBe(false);
      expect(schema.required.sort()).toEqual(["model", needed].sort());
      for (const field of ["temperature", "logit_bias", "n", "stream", "prediction", "user", "tools"]) {
        expect(schema.properties).toHaveProperty(field);
      }
    }
  });

  it("hangs together: every reference is there", async () => {
    const whole = await document();
    const names = [...JSON.stringify(whole).matchAll(/"#\/components\/schemas\/(\w+)"/g)].map(
      ([, name]) => name,
    );
    expect(names.length).toBeGreaterThan(10);
    for (const name of names) expect(whole.components.schemas).toHaveProperty(name!);
  });
});

describe("answers are as it says", () => {
  const body = { model: TARGET, max_tokens: 30, prediction: { type: "content", content: "AAAA" } };
  const headers = { "x-outrider-details": "1" };

  it.each([
    ["plain", { prompt: "hi" }],
    ["with everything", { prompt: ["hi", "ho"], n: 2, best_of: 3, echo: true, logprobs: 2 }],
  ])("completions %s", async (_, fields) => {
    const response = await call("/v1/completions", { key, headers, body: { ...body, ...fields } });
    completionAnswer.parse(await response.json());
  });

  it.each([
    ["plain", {}],
    ["with everything", { n: 2, logprobs: true, top_logprobs: 3 }],
  ])("chat %s", async (_, fields) => {
    const messages = [{ role: "user", content: "hi" }];
    const response = await call("/v1/chat/completions", {
      key,
      headers,
      body: { ...body, messages, ...fields },
    });
    chatAnswer.parse(await response.json());
  });

  it("models and errors", async () => {
    modelList.parse(await (await call("/v1/models", { key })).json());
    modelWithDraft.parse(await (await call(`/v1/models/${TARGET}`, { key })).json());
    const refusals = ["/v1/models/none", "/v1/nothing", "/nothing"].map((path) => call(path, { key }));
    for (const response of await Promise.all(refusals)) errorAnswer.parse(await response.json());
  });

  it("a wrong method", async () => {
    const response = await call("/v1/completions", { key, method: "PUT", body: {} });
    expect(response.status).toBe(405);
    expect(response.headers.get("allow")).toBe("POST");
    errorAnswer.parse(await response.json());
  });
});
