/** Clients that people already have, unmodified, against the running service. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { OpenAI as LangChainOpenAI } from "@langchain/openai";
import { generateText, type LanguageModel, streamText } from "ai";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startTemporarySystem } from "../../infra/bench/temporary-system.ts";
import { ensureClientsPython } from "../../infra/check/clients-python.ts";
import { runSchemathesis } from "../../infra/check/schemathesis.ts";
import type { System } from "../../infra/start/system.ts";
import references from "../cases/lm-eval.json" with { type: "json" };

const PROMPT = "def add(a, b):\n";
const MESSAGE = "What is a list?";
const TOKENS = 24;
const TOKENIZER = "infra/models/tiny/target";
/** A test that comes first makes the Python environment of its client. */
const INSTALLING_MS = 900_000;
/** The tiny model likes to end at once. */
const END_FORBIDDEN = { "0": -100, "2": -100 };

let system: System;
let baseURL: string;
let model: string;
beforeAll(async () => {
  system = await startTemporarySystem({ target: "tiny" });
  baseURL = `${system.address}/v1`;
  model = system.target;
});
afterAll(() => system?.stop());

/** What a plain request answers with the same settings. */
async function plainText(path: string, fields: object): Promise<string> {
  const response = await fetch(`${baseURL}/${path}`, {
    method: "POST",
    headers: { authorization: `Bearer ${system.key}` },
    body: JSON.stringify({ model, seed: 7, max_tokens: TOKENS, ...fields }),
  });
  const { choices } = (await response.json()) as {
    choices: { text?: string; message?: { content: string } }[];
  };
  return choices[0]!.text ?? choices[0]!.message!.content;
}
const completionText = () => plainText("completions", { prompt: PROMPT, temperature: 0 });
const chatText = () =>
  plainText("chat/completions", { messages: [{ role: "user", content: MESSAGE }], temperature: 0 });

describe("the Vercel AI SDK", () => {
  const openai = () => createOpenAI({ baseURL, apiKey: system.key });
  const compatible = () =>
    createOpenAICompatible({ name: "outrider", baseURL, apiKey: system.key, includeUsage: true });
  const table: [string, () => LanguageModel, (() => Promise<string>)?][] = [
    // These classes put a prompt into a form of their own.
    ["openai, completion", () => openai().completion(model)],
    ["openai-compatible, completion", () => compatible().completionModel(model)],
    ["openai, chat", () => openai().chat(model), chatText],
    ["openai-compatible, chat", () => compatible().chatModel(model), chatText],
  ];
  const settings = { maxOutputTokens: TOKENS, temperature: 0, maxRetries: 0 };

  it.each(table)("%s: generates and streams the same text", async (_, modelOf, expected) => {
    const whole = await generateText({ model: modelOf(), prompt: MESSAGE, ...settings });
    expect(whole.text.length).toBeGreaterThan(0);
    if (expected) expect(whole.text).toBe(await expected());
    expect(whole.usage.outputTokens).toBeGreaterThan(0);
    const stream = streamText({ model: modelOf(), prompt: MESSAGE, ...settings });
    let text = "";
    for await (const piece of stream.textStream) text += piece;
    expect(text).toBe(whole.text);
    expect(await stream.finishReason).toBe(whole.finishReason);
    expect((await stream.usage).outputTokens).toBe(whole.usage.outputTokens);
  });

  it("shows a refusal as what it is", async () => {
    const asked = generateText({ model: openai().chat("none"), prompt: "x", maxRetries: 0 });
    await expect(asked).rejects.toMatchObject({ statusCode: 404 });
  });
});

describe("LangChain's OpenAI class", () => {
  const llm = (fields: object = {}) =>
    new LangChainOpenAI({
      ...{ model, apiKey: system.key, configuration: { baseURL }, maxRetries: 0 },
      ...{ temperature: 0, maxTokens: TOKENS, ...fields },
    });

  it("invokes and streams the same text", async () => {
    const text = await llm().invoke(PROMPT);
    expect(text).toBe(await completionText());
    let streamed = "";
    for await (const piece of await llm().stream(PROMPT)) streamed += piece;
    expect(streamed).toBe(text);
  });

  it("sends several prompts with several choices", async () => {
    const { generations, llmOutput } = await llm({ n: 2, temperature: 0.9 }).generate([PROMPT, "import"]);
    expect(generations.map((choices) => choices.length)).toEqual([2, 2]);
    expect(llmOutput?.tokenUsage.completionTokens).toBeGreaterThan(4);
  });

  it("asks for the best of several", async () => {
    const text = await llm({ bestOf: 3, temperature: 1, logitBias: END_FORBIDDEN }).invoke(PROMPT);
    expect(text.length).toBeGreaterThan(0);
  });
});

describe("the official OpenAI package for Python", () => {
  it(
    "reads everything that it asks for",
    async () => {
      const python = await ensureClientsPython("clients");
      const args = ["test/clients/openai_client.py", baseURL, system.key, model];
      const { stdout } = await promisify(execFile)(python, args);
      const got = JSON.parse(stdout);
      expect(got.models).toEqual([model]);
      expect(got.text.length).toBeGreaterThan(0);
      expect(got.streamed).toBe(got.text);
      expect(got.finish).toBe("length");
      expect(got.usage.completion_tokens).toBe(TOKENS);
      expect(got.several.map((text: string) => text[0])).toEqual(["a", "a", "b", "b"]);
      expect(got.first_logprobs).toEqual([null, null, null, null]);
      expect(got.chat_streamed).toBe(got.chat);
      expect(got.chat_logprobs).toEqual(Array(TOKENS).fill(2));
      expect(got.refusals).toEqual([
        ["BadRequestError", "temperature"],
        ["NotFoundError", "model"],
      ]);
      expect(got.stranger).toBe("AuthenticationError");
    },
    INSTALLING_MS,
  );
});

describe("lm-eval's local-completions", () => {
  it(
    "scores as transformers does with the same weights, within what quantisation to int8 changes",
    async () => {
      const python = await ensureClientsPython("lm-eval");
      const args = ["test/clients/lm_eval_client.py", baseURL, model, TOKENIZER, "test/cases/lm-eval.json"];
      const env = {
        ...process.env,
        OPENAI_API_KEY: system.key,
        HF_HUB_OFFLINE: "1",
        HF_DATASETS_OFFLINE: "1",
      };
      const { stdout } = await promisify(execFile)(python, args, { env });
      const got = JSON.parse(stdout.trim().split("\n").at(-1)!);
      for (const [i, { logprob, greedy }] of references.entries()) {
        const [sum, isGreedy] = got.alone[i];
        expect(Math.abs(sum - logprob)).toBeLessThan(0.15);
        expect(isGreedy).toBe(greedy);
      }
      expect(got.batched).toEqual(got.alone);
      expect(got.alone_text[0].length).toBeGreaterThan(0);
      expect(got.batched_text).toEqual(got.alone_text);
    },
    INSTALLING_MS,
  );
});

describe("the OpenAPI document", () => {
  it("is kept by whatever schemathesis sends, good or bad", async () => {
    const { requests, passed, output } = await runSchemathesis(system, { examples: 30, seed: 7 });
    expect(passed, output).toBe(true);
    expect(requests).toBeGreaterThan(150);
  });
});
