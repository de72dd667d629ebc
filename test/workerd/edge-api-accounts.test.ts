import { Tokenizer } from "@huggingface/tokenizers";
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import type { Quota } from "../../edge/accounts/quota.ts";
import { tokenizerConfig, tokenizerJson } from "../support/byte-tokenizer.ts";
import { ScriptedVerifier } from "../support/scripted-verifier.ts";
import {
  ADMIN_SECRET,
  call,
  env,
  eventually,
  migrate,
  newKey,
  publishTarget,
  routeLinksTo,
  TARGET,
} from "./support.ts";

const tokenizer = new Tokenizer(tokenizerJson, tokenizerConfig);
const PROMPT = tokenizer.encode("the prompt", { add_special_tokens: false }).ids;

let verifier: ScriptedVerifier;
const QUOTA: Quota = { tokens: 1000, period: "ever" };
const complete = (key: string, fields: object = {}) =>
  call("/v1/completions", {
    key,
    headers: { "cache-control": "no-store" },
    body: { model: TARGET, prompt: PROMPT, max_tokens: 20, temperature: 0, ...fields },
  });
const remaining = async (id: string, quota = QUOTA) =>
  (await env.QUOTAS.getByName(id).reserve(crypto.randomUUID(), 0, quota)).remaining;
/** Settling follows the answer. */
const settledAt = (id: string, tokens: number) =>
  eventually(async () => expect(await remaining(id)).toBe(tokens));

beforeAll(async () => {
  await migrate();
  await publishTarget();
});
beforeEach(() => {
  verifier = new ScriptedVerifier({ next: () => 65 });
  routeLinksTo(verifier);
});
afterEach(() => vi.restoreAllMocks());

describe("a key's token quota", () => {
  it("is reserved before and settled after: what was asked for, then what was used", async () => {
    const { id, key } = await newKey("quota", { quota: QUOTA });
    const first = await complete(key, { max_tokens: 100, stop: "AAAAA" });
    expect(first.headers.get("x-ratelimit-limit-tokens")).toBe("1000");
    expect(first.headers.get("x-ratelimit-remaining-tokens")).toBe(String(1000 - PROMPT.length - 100));
    const { usage } = (await first.json()) as { usage: { total_tokens: number } };
    expect(usage.total_tokens).toBe(PROMPT.length + 5);
    await settledAt(id, 1000 - usage.total_tokens);
  });

  it("counts a prompt once, and every candidate", async () => {
    const { id, key } = await newKey("quota", { quota: QUOTA });
    const response = await complete(key, { prompt: [PROMPT, PROMPT], best_of: 3, max_tokens: 10 });
    const most = 2 * PROMPT.length + 60;
    expect(response.headers.get("x-ratelimit-remaining-tokens")).toBe(String(1000 - most));
    expect(await response.json()).toMatchObject({ usage: { total_tokens: most } });
    await settledAt(id, 1000 - most);
  });

  it("refuses a request that it does not hold, which is then not worth trying again", async () => {
    const { id, key } = await newKey("quota", { quota: { tokens: 60, period: "day" } });
    const response = await complete(key, { max_tokens: 100 });
    expect(response.status).toBe(429);
    expect(await response.json()).toMatchObject({
      error: {
        type: "insufficient_quota",
        code: "insufficient_quota",
        message: expect.stringContaining("60 remain"),
      },
    });
    expect(response.headers.get("x-should-retry")).toBe("false");
    expect(response.headers.get("x-ratelimit-remaining-tokens")).toBe("60");
    const seconds = Number(response.headers.get("retry-after"));
    expect(seconds).toBeGreaterThan(0);
    expect(seconds).toBeLessThanOrEqual(24 * 3600);
    expect(response.headers.get("x-ratelimit-reset-tokens")).toBe(`${seconds}s`);
    await eventually(() => expect(verifier.running).toBe(0));
    expect(await remaining(id, { tokens: 60, period: "day" })).toBe(60);
    expect((await complete(key)).status).toBe(200);
  });

  it("is never exceeded by requests at the same time", async () => {
    const each = PROMPT.length + 20;
    const { key } = await newKey("quota", { quota: { tokens: 3 * each + 1, period: "ever" } });
    verifier.script.stepMs = 3;
    const answers = await Promise.all(Array.from({ length: 8 }, () => complete(key)));
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 200, 200, 429, 429, 429, 429, 429]);
    await Promise.all(answers.map((answer) => answer.text()));
  });

  it("charges what was delivered to a client that leaves", async () => {
    const { id, key } = await newKey("quota", { quota: QUOTA });
    verifier.script.stepMs = 5;
    const response = await complete(key, { max_tokens: 400, stream: true });
    const reader = response.body!.getReader();
    for (let n = 0; n < 5; n++) await reader.read();
    await reader.cancel();
    await eventually(async () => {
      const used = 1000 - (await remaining(id));
      expect(used).toBeGreaterThanOrEqual(PROMPT.length + 4);
      // What lies in the buffers on its way counts as delivered: some KiB of chunks.
      expect(used).toBeLessThan(PROMPT.length + 100);
    });
  });

  it("charges nothing for what the verifier refuses", async () => {
    const { id, key } = await newKey("quota", { quota: QUOTA });
    verifier.script.refuse = { code: "overloaded", retryable: true };
    expect((await complete(key)).status).toBe(503);
    await settledAt(id, 1000);
  });

  it("fails closed where its account does not answer", async () => {
    const { key } = await newKey("quota", { quota: QUOTA });
    const account = { reserve: () => Promise.reject(new Error("lost")), settle: async () => {} };
    const spy = vi.spyOn(env.QUOTAS, "getByName").mockReturnValue(account);
    const response = await complete(key);
    expect(response.status).toBe(503);
    expect(await response.json()).toMatchObject({ error: { code: "quota_unavailable" } });
    spy.mockRestore();
    await eventually(() => expect(verifier.running).toBe(0));
  });

  it("is nobody's business where a key has none", async () => {
    const { key } = await newKey();
    const response = await complete(key);
    expect(response.headers.has("x-ratelimit-limit-tokens")).toBe(false);
    await response.text();
  });

  it("begins anew with each period", async () => {
    const account = env.QUOTAS.getByName("key_of_this_test");
    const day: Quota = { tokens: 10, period: "day" };
    const noon = Date.UTC(2026, 10, 24, 12);
    const now = vi.spyOn(Date, "now").mockReturnValue(noon);
    expect(await account.reserve("a", 10, day)).toMatchObject({ granted: true, resetMs: 12 * 3_600_000 });
    expect(await account.reserve("b", 1, day)).toMatchObject({ granted: false, remaining: 0 });
    now.mockReturnValue(noon + 12 * 3_600_000);
    expect(await account.reserve("c", 4, day)).toMatchObject({ granted: true, remaining: 6 });
    // What is settled late belongs to the day that is over.
    await account.settle("a", 2);
    await account.settle("a", 2);
    expect(await account.reserve("d", 0, day)).toMatchObject({ remaining: 6 });
    await account.settle("c", 1);
    expect(await account.reserve("e", 0, day)).toMatchObject({ remaining: 9 });
  });
});

describe("a key's terms", () => {
  it("end when it expires", async () => {
    const soon = Date.now() + 60_000;
    const { key } = await newKey("short", { expires: new Date(soon).toISOString() });
    expect((await call("/v1/models", { key })).status).toBe(200);
    vi.spyOn(Date, "now").mockReturnValue(soon);
    expect((await call("/v1/models", { key })).status).toBe(401);
  });

  it("limit what it may be used for", async () => {
    const { key } = await newKey("watching", { scopes: ["admin"] });
    const response = await call("/v1/models", { key });
    expect(response.status).toBe(403);
    expect(await response.json()).toMatchObject({ error: { code: "insufficient_scope" } });
  });

  it("are listed", async () => {
    const terms = { scopes: ["completions", "admin"], capture: true, quota: { tokens: 5, period: "month" } };
    const { id } = await newKey("all", { ...terms, expires: "2999-01-01T02:00:00+02:00" });
    const { data } = (await (await call("/admin/keys", { key: ADMIN_SECRET })).json()) as { data: object[] };
    expect(data).toContainEqual(
      expect.objectContaining({
        id,
        name: "all",
        ...terms,
        expires: "2999-01-01T00:00:00.000Z",
        revoked: null,
      }),
    );
    expect(JSON.stringify(data)).not.toContain("hash");
  });

  it.each([
    [{ scopes: [] }, "scopes"],
    [{ scopes: ["everything"] }, "scopes[0]"],
    [{ expires: "tomorrow" }, "expires"],
    [{ quota: { tokens: 0, period: "day" } }, "quota.tokens"],
    [{ quota: { tokens: 1, period: "week" } }, "quota.period"],
    [{ qouta: null }, "qouta"],
  ])("are refused where they are none: %j", async (terms, param) => {
    const response = await call("/admin/keys", { key: ADMIN_SECRET, body: { name: "x", ...terms } });
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ error: { param } });
  });
});

describe("the rate of requests", () => {
  it("is the binding's word, per key", async () => {
    const { id, key } = await newKey();
    const { key: other } = await newKey();
    const counted: string[] = [];
    const { REQUESTS } = env;
    env.REQUESTS = {
      limit: async ({ key: by }) => {
        counted.push(by);
        return { success: by !== id };
      },
    };
    const refused = await call("/v1/models", { key });
    expect((await call("/v1/models", { key: other })).status).toBe(200);
    if (REQUESTS) env.REQUESTS = REQUESTS;
    expect(refused.status).toBe(429);
    expect(refused.headers.get("retry-after")).toBe("10");
    expect(await refused.json()).toMatchObject({ error: { code: "rate_limit_exceeded" } });
    expect(counted).toHaveLength(2);
  });

  it("has a binding", () => {
    expect(env.REQUESTS?.limit).toBeTypeOf("function");
  });
});

describe("what an installation serves and trains", () => {
  it("is for keys with the scope admin", async () => {
    const { key: admin } = await newKey("operator", { scopes: ["admin"] });
    const { key: client } = await newKey("client");
    for (const path of ["/v1/releases", "/v1/jobs"]) {
      expect((await call(path)).status).toBe(401);
      expect((await call(path, { key: client })).status).toBe(403);
      expect((await call(path, { key: admin })).status).toBe(200);
    }
    expect(await (await call("/v1/releases", { key: admin })).json()).toMatchObject({
      data: [],
      loaded: { release: null, note: expect.any(String) },
    });
    // No training service is configured here.
    expect(await (await call("/v1/jobs", { key: admin })).json()).toEqual({ object: "list", data: [] });
  });
});
