import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { VOCABULARY } from "../support/byte-tokenizer.ts";
import { ScriptedVerifier } from "../support/scripted-verifier.ts";
import { ADMIN_SECRET, call, migrate, newKey, publishTarget, routeLinksTo, TARGET } from "./support.ts";

let key: string;
let verifier: ScriptedVerifier;
const completion = (fields: object) =>
  call("/v1/completions", { key, body: { model: TARGET, prompt: "hi", max_tokens: 2, ...fields } });
const messages = [{ role: "user", content: "hi" }];
const chat = (fields: object) =>
  call("/v1/chat/completions", { key, body: { model: TARGET, messages, max_tokens: 2, ...fields } });

beforeAll(async () => {
  await migrate();
  await publishTarget();
  ({ key } = await newKey());
});
beforeEach(() => {
  verifier = new ScriptedVerifier({ next: (text) => text[0]! });
  routeLinksTo(verifier);
});
afterEach(() => {
  vi.restoreAllMocks();
});

/** Field, value, and the `param` that the refusal must name. */
const REFUSED: [string, unknown, string?][] = [
  ["n", 0],
  ["n", 129],
  ["best_of", 21],
  ["suffix", "after"],
  ["tools", [{ type: "function" }]],
  ["tool_choice", "required"],
  ["response_format", { type: "json_object" }],
  ["response_format", { type: "json_schema", json_schema: { name: "x", schema: {} } }],
  ["functions", [{ name: "f" }]],
  ["function_call", { name: "f" }],
  ["modalities", ["audio"]],
  ["audio", { voice: "a" }],
  ["reasoning_effort", "high"],
  ["web_search_options", {}],
  ["repetition_penalty", 1.1],
  ["no_such_field", 1],
  ["__proto__x", 1],
  ["temperature", 2.1],
  ["temperature", "1"],
  ["top_p", 0],
  ["top_k", -1],
  ["min_p", 1.5],
  ["seed", 1.5],
  ["seed", "18446744073709551616"],
  ["seed", "-1"],
  ["seed", "AAA"],
  ["presence_penalty", 3],
  ["logit_bias", { x: 1 }, "logit_bias.x"],
  ["logit_bias", { [VOCABULARY]: 1 }],
  ["stop", Array(17).fill("a")],
  ["stop", "", "stop"],
  ["stream", "yes"],
  ["stream_options", { include_usage: true }],
  ["stream_options", { include_usage: true, other: 1 }, "stream_options.other"],
];
const IGNORED: [string, unknown][] = [
  ["user", "someone"],
  ["metadata", { a: "b" }],
  ["store", true],
  ["n", 1],
  ["n", null],
  ["tools", []],
  ["modalities", ["text"]],
  ["tool_choice", "none"],
  ["response_format", { type: "text" }],
  ["temperature", null],
  ["stop", null],
  ["stop", ["a", "b"]],
  ["logit_bias", { "5": 1 }],
  ["prediction", { type: "content", content: "x" }],
];

describe("requests that are refused before anything runs", () => {
  for (const post of [completion, chat]) {
    const where = post === chat ? "chat" : "completions";
    for (const [field, value, param = field] of REFUSED) {
      it(`${where}: ${field} = ${JSON.stringify(value)}`, async () => {
        const response = await post({ [field]: value });
        const body = await response.json();
        expect(body).toMatchObject({ error: { type: "invalid_request_error", param } });
        expect(response.status).toBe(400);
        expect(verifier.opens).toHaveLength(0);
      });
    }
    for (const [field, value] of IGNORED) {
      it(`${where}: ${field} = ${JSON.stringify(value)} is let through`, async () => {
        expect((await post({ [field]: value })).status).toBe(200);
      });
    }
  }

  const table: [string, () => Promise<Response>, number, object][] = [
    ["a body that is not JSON", () => call("/v1/completions", { key, body: "{" }), 400, { param: null }],
    ["a body that is a list", () => call("/v1/completions", { key, body: [] }), 400, { param: null }],
    ["another model", () => completion({ model: "gpt-4" }), 404, { param: "model", code: "model_not_found" }],
    ["no model", () => completion({ model: undefined }), 400, { param: "model" }],
    ["no prompt", () => completion({ prompt: undefined }), 400, { param: "prompt" }],
    [
      "an empty prompt where no token begins a text",
      () => completion({ prompt: "" }),
      400,
      { param: "prompt" },
    ],
    ["prompts of two kinds", () => completion({ prompt: ["a", [1]] }), 400, { param: "prompt" }],
    ["a list of no prompts", () => completion({ prompt: [] }), 400, { param: "prompt" }],
    [
      "too many sequences",
      () => completion({ prompt: Array(100).fill("a"), n: 3 }),
      400,
      { param: "prompt" },
    ],
    ["one bad prompt of two", () => completion({ prompt: [[1], [VOCABULARY]] }), 400, { param: "prompt" }],
    ["best_of below n", () => completion({ n: 3, best_of: 2 }), 400, { param: "best_of" }],
    ["best_of in a stream", () => completion({ best_of: 2, stream: true }), 400, { param: "best_of" }],
    ["echo around a middle", () => completion({ echo: true, suffix: "x" }), 400, { param: "echo" }],
    ["echo of a chat", () => chat({ echo: false }), 400, { param: "echo", code: "unknown_parameter" }],
    ["ids beyond the vocabulary", () => completion({ prompt: [VOCABULARY] }), 400, { param: "prompt" }],
    [
      "a text that could not fit the context however it is cut",
      () => completion({ prompt: "a".repeat(1 << 20) }),
      400,
      { param: "prompt", code: "context_length_exceeded", message: expect.stringContaining("characters") },
    ],
    [
      "a prompt beyond the context",
      () => completion({ prompt: Array(512).fill(65) }),
      400,
      { code: "context_length_exceeded" },
    ],
    [
      "more output than the context holds",
      () => completion({ max_tokens: 511 }),
      400,
      { param: "max_tokens" },
    ],
    ["logprobs beyond 20", () => completion({ logprobs: 21 }), 400, { param: "logprobs" }],
    ["no messages", () => chat({ messages: [] }), 400, { param: "messages" }],
    [
      "an unknown role",
      () => chat({ messages: [{ role: "tool", content: "x" }] }),
      400,
      { param: "messages[0].role" },
    ],
    [
      "tool calls",
      () => chat({ messages: [{ role: "user", content: "x", tool_calls: [] }] }),
      400,
      { param: "messages[0].tool_calls" },
    ],
    [
      "an image",
      () =>
        chat({
          messages: [{ role: "user", content: [{ type: "image_url", image_url: { url: "data:," } }] }],
        }),
      400,
      { param: "messages[0].content", message: expect.stringContaining("text parts") },
    ],
    [
      "messages that the template refuses",
      () => chat({ messages: [{ role: "assistant", content: "x" }] }),
      400,
      { param: "messages" },
    ],
    ["top_logprobs without logprobs", () => chat({ top_logprobs: 2 }), 400, { param: "top_logprobs" }],
    ["an unknown route", () => call("/v1/nothing", { key }), 404, { param: null }],
    ["a body of 5 MB", () => completion({ prompt: "x".repeat(5e6) }), 413, {}],
  ];
  for (const [name, ask, status, error] of table) {
    it(name, async () => {
      const response = await ask();
      expect(await response.json()).toMatchObject({ error: { message: expect.any(String), ...error } });
      expect(response.status).toBe(status);
      expect(response.headers.get("x-request-id")).toBeTruthy();
    });
  }

  it("keeps a request id that the client gives", async () => {
    const response = await call("/v1/models", { key, headers: { "x-request-id": "mine-1" } });
    expect(response.headers.get("x-request-id")).toBe("mine-1");
  });
});

describe("the verifier's refusals", () => {
  it("become a status before the stream begins", async () => {
    verifier.script = { ...verifier.script, refuse: { code: "overloaded", retryable: true } };
    const response = await completion({ stream: true });
    expect(response.status).toBe(503);
    expect(response.headers.get("retry-after")).toBe("1");
    expect(await response.json()).toMatchObject({ error: { code: "overloaded" } });
    expect(verifier.opens).toHaveLength(2);
  });

  it("are not tried elsewhere where that is of no use", async () => {
    verifier.script = { ...verifier.script, refuse: { code: "context_too_long", retryable: false } };
    const response = await completion({});
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({
      error: { code: "context_length_exceeded", param: "prompt" },
    });
    expect(verifier.opens).toHaveLength(1);
  });

  it("say so when no replica is there", async () => {
    vi.restoreAllMocks();
    vi.spyOn(globalThis, "fetch").mockRejectedValue(new Error("connection refused"));
    const response = await completion({});
    expect(response.status).toBe(503);
    expect(await response.json()).toMatchObject({ error: { code: "verifier_unreachable" } });
  });
});

describe("keys", () => {
  it("are asked for", async () => {
    for (const path of ["/v1/models", "/v1/completions", "/v1/chat/completions"]) {
      const response = await call(path, { headers: { authorization: "Basic abc" } });
      expect(response.status).toBe(401);
      expect(await response.json()).toMatchObject({ error: { code: "invalid_api_key" } });
    }
    expect((await call("/v1/models", { key: "sk-outrider-wrong" })).status).toBe(401);
  });

  it("are made, listed without their secret, and revoked", async () => {
    const { id, key: made } = await newKey("short-lived");
    expect((await call("/v1/models", { key: made })).status).toBe(200);
    const listed = await (await call("/admin/keys", { key: ADMIN_SECRET })).text();
    expect(listed).toContain(id);
    expect(listed).not.toContain(made);
    expect((await call(`/admin/keys/${id}`, { key: ADMIN_SECRET, method: "DELETE" })).status).toBe(200);
    expect((await call("/v1/models", { key: made })).status).toBe(401);
  });

  it("are remembered for 30 s at most", async () => {
    const { id, key: made } = await newKey("revoked elsewhere");
    expect((await call("/v1/models", { key: made })).status).toBe(200);
    const { env } = await import("./support.ts");
    await env.DB.prepare("UPDATE api_keys SET revoked = 'now' WHERE id = ?").bind(id).run();
    expect((await call("/v1/models", { key: made })).status).toBe(200);
    const now = Date.now();
    vi.spyOn(Date, "now").mockReturnValue(now + 30_001);
    expect((await call("/v1/models", { key: made })).status).toBe(401);
  });

  it("cannot be managed without the admin secret", async () => {
    for (const given of [undefined, key, `${ADMIN_SECRET}x`]) {
      expect((await call("/admin/keys", { key: given })).status).toBe(401);
    }
    expect((await call("/admin/keys/none", { key: ADMIN_SECRET, method: "DELETE" })).status).toBe(404);
    const response = await call("/admin/keys", { key: ADMIN_SECRET, body: { name: "" } });
    expect(await response.json()).toMatchObject({ error: { param: "name" } });
  });
});

describe("models", () => {
  it("are listed and looked up", async () => {
    const list = await (await call("/v1/models", { key })).json();
    expect(list).toMatchObject({ object: "list", data: [{ id: TARGET, object: "model" }] });
    expect(await (await call(`/v1/models/${TARGET}`, { key })).json()).toMatchObject({
      id: TARGET,
      draft: { release: null, note: "no draft release is loaded yet" },
    });
    expect((await call("/v1/models/none", { key })).status).toBe(404);
  });

  it("health needs no key", async () => {
    expect(await (await call("/healthz")).json()).toEqual({ status: "ok" });
  });
});
