/// <reference types="@cloudflare/vitest-plugin/types" />

import { runInDurableObject } from "cloudflare:test";
import { Tokenizer } from "@huggingface/tokenizers";
import { afterEach, beforeAll, beforeEach, expect, it, type MockInstance, vi } from "vitest";
import { inTurn } from "../../edge/link/replicas.ts";
import { END_ID, tokenizerConfig, tokenizerJson } from "../support/byte-tokenizer.ts";
import { ScriptedVerifier } from "../support/scripted-verifier.ts";
import { call, env, eventually, migrate, newKey, publishTarget, routeLinksTo, TARGET } from "./support.ts";

env.LINK = "shared";

const tokenizer = new Tokenizer(tokenizerJson, tokenizerConfig);
const encode = (text: string) => tokenizer.encode(text, { add_special_tokens: false }).ids;
const PROMPT = "the prompt";
const ANSWER = "hello world 👋 the end, and the end, and the end of it";
const answerAfter = encode(PROMPT).length;
const next = (text: readonly number[]) => encode(ANSWER)[text.length - answerAfter] ?? END_ID;
const REPLICA = inTurn(env.VERIFIER_URLS.split(","), encode(PROMPT))[0]!;

let key: string;
let verifier: ScriptedVerifier;
let sockets: MockInstance;
/** A data centre for each test: its link objects are its own. */
let colo = "";
let tests = 0;

/** Without hints, unless a test is about them: how long a text takes is then up to the script. */
let headers: Record<string, string> = {};
const completion = (fields: object = {}, signal?: AbortSignal) =>
  call("/v1/completions", {
    ...{ key, colo, headers, ...(signal && { signal }) },
    body: { model: TARGET, prompt: PROMPT, max_tokens: 200, temperature: 0, ...fields },
  });
const textOf = async (response: Response | Promise<Response>): Promise<string> => {
  const body = (await (await response).json()) as { choices: { text: string }[] };
  return body.choices[0]!.text;
};
const linkObject = () => {
  const objects = env.LINKS as unknown as DurableObjectNamespace;
  return objects.get(objects.idFromName(`${colo} 0 ${REPLICA}`));
};

beforeAll(async () => {
  await migrate();
  await publishTarget();
  ({ key } = await newKey());
});
beforeEach(() => {
  colo = `T${++tests}`;
  headers = { "x-outrider-drafts": "off" };
  verifier = new ScriptedVerifier({ next });
  sockets = routeLinksTo(verifier);
});
afterEach(() => {
  expect(verifier.bad).toEqual([]);
  vi.restoreAllMocks();
});

it("carries one completion after the other over one socket", async () => {
  for (let n = 0; n < 3; n++) expect(await textOf(completion())).toBe(ANSWER);
  expect(sockets).toHaveBeenCalledTimes(1);
  expect(verifier.opens.map(({ stream }) => stream)).toEqual([1, 2, 3]);
  expect(new Set(verifier.opens.map(({ token }) => token)).size).toBe(3);
  expect(verifier.closed).toBe(0);
});

it("answers what was opened, and brings hints to their own sequence", async () => {
  headers = { "x-outrider-hints": "random" };
  verifier.script = { next, stepMs: 4 };
  expect(await textOf(completion())).toBe(ANSWER);
  expect(await textOf(completion())).toBe(ANSWER);
  expect(verifier.seen).toBe(2);
  expect(new Set(verifier.hints.map(({ stream }) => stream))).toEqual(new Set([1, 2]));
});

it("carries 64 completions at once, each with a text of its own", async () => {
  const prompts = Array.from({ length: 64 }, (_, n) => `${n} `.repeat(3).slice(0, 6));
  verifier.script = { next: (text) => (text.length < 60 ? text[text.length - 6]! : END_ID), stepMs: 3 };
  const texts = await Promise.all(prompts.map((prompt) => textOf(completion({ prompt }))));
  for (const [n, text] of texts.entries()) {
    const ids = encode(prompts[n]!);
    const whole = [...ids];
    while (whole.length < 60) whole.push(whole[whole.length - 6]!);
    expect(text).toBe(tokenizer.decode(whole.slice(ids.length)));
  }
  expect(sockets.mock.calls.length).toBeLessThanOrEqual(2);
  expect(verifier.opens).toHaveLength(64);
});

it("goes on over a link of its own, with the same text, when the object is reset in mid-text", async () => {
  let made = 0;
  const counted = (text: readonly number[]) => {
    made++;
    return next(text);
  };
  verifier.script = { next: counted, stepMs: 30 };
  const answer = completion();
  await eventually(() => expect(made).toBeGreaterThan(2));
  await runInDurableObject(linkObject(), (_, state) => state.abort("reset by a test")).catch(() => {});
  expect(await textOf(answer)).toBe(ANSWER);
  expect(verifier.opens).toHaveLength(2);
  expect(verifier.opens[1]!.confirmed!.length).toBeGreaterThan(0);
  expect(verifier.opens[1]!.numerics).toBe("script");
});

it("goes on over a link of its own when the verifier closes the shared one", async () => {
  verifier.script = { next, breakAfter: 9 };
  expect(await textOf(completion())).toBe(ANSWER);
  expect(verifier.opens.map(({ stream }) => stream)).toEqual([1, 1]);
  expect(verifier.opens[1]!.confirmed!.length).toBeGreaterThanOrEqual(9);
  expect(await textOf(completion())).toBe(ANSWER);
  expect(sockets).toHaveBeenCalledTimes(3);
});

it("goes over a link of its own where the object cannot reach the verifier, and reaches it later", async () => {
  const now = vi.spyOn(Date, "now").mockReturnValue(Date.now());
  sockets.mockRejectedValueOnce(new Error("no route"));
  expect(await textOf(completion())).toBe(ANSWER);
  expect(await textOf(completion())).toBe(ANSWER);
  // Once by the object; then it holds back, and both completions went over links of their own.
  expect(sockets).toHaveBeenCalledTimes(3);
  now.mockReturnValue(Date.now() + 300);
  expect(await textOf(completion())).toBe(ANSWER);
  expect(await textOf(completion())).toBe(ANSWER);
  expect(sockets).toHaveBeenCalledTimes(4);
});

it("asks no second time, over another way, where the verifier itself refused", async () => {
  verifier.script = { next, refuse: { code: "overloaded", retryable: true } };
  expect((await completion()).status).toBe(503);
  // Two replicas, each once.
  expect(verifier.opens).toHaveLength(2);
});

it("cancels at the verifier when the client goes away, and keeps the socket", async () => {
  verifier.script = { next: () => encode("a")[0]!, stepMs: 5 };
  const response = await completion({ stream: true, max_tokens: 400 });
  const reader = response.body!.getReader();
  await reader.read();
  await reader.cancel();
  await eventually(() => expect(verifier.cancels).toBe(1));
  verifier.script = { next };
  expect(await textOf(completion())).toBe(ANSWER);
  expect(verifier.closed).toBe(0);
  expect(sockets).toHaveBeenCalledTimes(1);
});

it("leaves no sequence running and no place taken after many aborted requests", async () => {
  verifier.script = { next: () => encode("a")[0]!, stepMs: 20 };
  /** Every other client leaves at any time, be it before the sequence is open; the others in the middle of the text. */
  const abortOne = async (n: number) => {
    const abort = new AbortController();
    const answer = completion({ stream: n % 4 < 2, max_tokens: 400 }, abort.signal);
    if (n % 2 === 0) setTimeout(() => abort.abort(), n % 40);
    const response = await answer.catch(() => undefined);
    abort.abort();
    await response?.body?.cancel().catch(() => {});
  };
  const opened = 300;
  // More than twice as many as an object takes at once.
  for (let n = 0; n < opened; n += 50)
    await Promise.all(Array.from({ length: 50 }, (_, i) => abortOne(n + i)));
  await eventually(() => expect(verifier.running).toBe(0));
  expect(verifier.opens.length).toBeGreaterThanOrEqual(opened / 2);
  // A place that stayed taken would send what follows over other links. Two shards are in order: 50 may overlap.
  const before = sockets.mock.calls.length;
  expect(before).toBeLessThanOrEqual(2);
  verifier.script = { next };
  for (let n = 0; n < 4; n++) expect(await textOf(completion())).toBe(ANSWER);
  expect(sockets).toHaveBeenCalledTimes(before);
  expect(verifier.closed).toBe(0);
});

it("harms only the sequence whose frame is bad", async () => {
  verifier.script = {
    next: (text) => (text[0] !== encode("x")[0] ? next(text) : text.length > 9 ? 1e9 : text[0]!),
    stepMs: 3,
  };
  const [good, bad] = await Promise.all([textOf(completion()), completion({ prompt: "xxxxx" })]);
  expect(good).toBe(ANSWER);
  await expect(bad.text()).rejects.toThrow();
  expect(verifier.opens.filter(({ prompt }) => prompt.length === answerAfter)).toHaveLength(1);
});
