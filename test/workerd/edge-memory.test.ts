import { Tokenizer } from "@huggingface/tokenizers";
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { END_ID, tokenizerConfig, tokenizerJson } from "../support/byte-tokenizer.ts";
import { ScriptedVerifier } from "../support/scripted-verifier.ts";
import { call, events, eventually, migrate, newKey, publishTarget, routeLinksTo, TARGET } from "./support.ts";

const tokenizer = new Tokenizer(tokenizerJson, tokenizerConfig);
const encode = (text: string) => tokenizer.encode(text, { add_special_tokens: false }).ids;
const ANSWER = "Sphinx of black quartz, judge my vow; pack five dozen jugs.";

let key: string;
let verifier: ScriptedVerifier;
let prompt = "";
const ask = (fields: object = {}, headers: Record<string, string> = {}, by = key) =>
  call("/v1/completions", {
    key: by,
    headers: { "x-outrider-details": "1", ...headers },
    body: { model: TARGET, prompt, max_tokens: 200, temperature: 0, ...fields },
  });
type Answer = {
  choices: { text: string }[];
  usage: { completion_tokens: number; completion_tokens_details?: object };
  outrider: { accepted: Record<string, number>; drafted: Record<string, number>; steps: number };
};
const answer = async (...asked: Parameters<typeof ask>): Promise<Answer> => {
  const body = (await (await ask(...asked)).json()) as Answer;
  expect(body.choices[0]!.text).toBe(ANSWER);
  return body;
};

beforeAll(async () => {
  await migrate();
  await publishTarget();
});
beforeEach(async () => {
  // A tenant of its own for each test: all of them are given the same answer.
  ({ key } = await newKey());
  prompt = `${key}: say it`;
  const length = encode(prompt).length;
  const answer = encode(ANSWER);
  verifier = new ScriptedVerifier({ next: (text) => answer[text.length - length] ?? END_ID, stepMs: 4 });
  routeLinksTo(verifier);
});
afterEach(() => vi.restoreAllMocks());

describe("what was confirmed", () => {
  it("is drafted when the same is asked again", async () => {
    const first = await answer();
    expect(first.outrider.accepted.memory ?? 0).toBe(0);
    const second = await answer();
    expect(second.outrider.accepted.memory).toBeGreaterThan(encode(ANSWER).length - 6);
    expect(second.outrider.steps).toBeLessThan(first.outrider.steps / 4);
  });

  it("is another tenant's business only if it is that tenant's", async () => {
    await answer();
    const { key: other } = await newKey("other");
    expect((await answer({}, {}, other)).outrider.drafted.memory ?? 0).toBe(0);
  });

  it("is neither kept nor used where the client says no-store", async () => {
    const never = { "cache-control": "no-cache, no-store" };
    await answer({}, never);
    expect((await answer()).outrider.drafted.memory ?? 0).toBe(0);
    expect((await answer({}, never)).outrider.drafted.memory ?? 0).toBe(0);
  });

  it("is not kept of a request without drafts", async () => {
    await answer({}, { "x-outrider-drafts": "off" });
    expect((await answer()).outrider.drafted.memory ?? 0).toBe(0);
  });

  it("is kept of a text that the client left", async () => {
    verifier.script = { ...verifier.script, stepMs: 10 };
    const response = await ask({ stream: true });
    const reader = response.body!.getReader();
    let heard = "";
    while (heard.split("data: ").length <= 12) heard += await readText(reader);
    await reader.cancel();
    await eventually(() => expect(verifier.cancels).toBeGreaterThan(0));
    expect((await answer()).outrider.accepted.memory).toBeGreaterThan(4);
  });
});

describe("the client's prediction", () => {
  const prediction = (content: unknown) => ({ prediction: { type: "content", content } });
  const never = { "cache-control": "no-store" };

  it("is followed, and usage tells what came of it", async () => {
    const edited = ANSWER.replace("judge my vow", "tell my fate");
    const body = await answer(prediction(edited), never);
    expect(body.outrider.accepted.prediction).toBeGreaterThan(10);
    const details = body.usage.completion_tokens_details as Record<string, number>;
    expect(details.accepted_prediction_tokens).toBeGreaterThan(10);
    expect(details.rejected_prediction_tokens).toBeGreaterThan(0);
    const parts = [ANSWER.slice(0, 30), ANSWER.slice(30)].map((text) => ({ type: "text", text }));
    expect((await answer(prediction(parts), never)).outrider.steps).toBeLessThan(12);
  });

  it("is in the usage of a stream too, and nowhere without a prediction", async () => {
    const stream = { stream: true, stream_options: { include_usage: true } };
    const data = await events(await ask({ ...stream, ...prediction(ANSWER) }, never));
    const { usage } = JSON.parse(data.at(-2)!) as Answer;
    expect(usage.completion_tokens_details).toMatchObject({ rejected_prediction_tokens: expect.any(Number) });
    expect((await answer({}, never)).usage.completion_tokens_details).toBeUndefined();
  });

  it.each([
    [{ type: "text", content: "x" }, "prediction"],
    ["x", "prediction"],
    [{ type: "content", content: [{ type: "image", text: "x" }] }, "prediction"],
    [{ type: "content", content: 7 }, "prediction"],
    [{ type: "content", content: "x", extra: 1 }, "prediction"],
    [{ type: "content", content: "x".repeat(1_000_000) }, "prediction"],
  ])("is refused where it is none (%#)", async (bad, param) => {
    const response = await ask({ prediction: bad });
    expect(response.status).toBe(400);
    const { error } = (await response.json()) as { error: { param: string; message: string } };
    expect(error.param.startsWith(param)).toBe(true);
    expect(error.message).toContain("prediction");
  });

  it("may be null or empty", async () => {
    await answer({ prediction: null }, never);
    await answer(prediction(""), never);
  });
});

const decoder = new TextDecoder();
async function readText(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<string> {
  const { value, done } = await reader.read();
  if (done) throw new Error("the stream ended");
  return decoder.decode(value);
}
