import { Tokenizer } from "@huggingface/tokenizers";
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { END_ID, tokenizerConfig, tokenizerJson } from "../support/byte-tokenizer.ts";
import { ScriptedVerifier } from "../support/scripted-verifier.ts";
import { call, events, eventually, migrate, newKey, publishTarget, routeLinksTo, TARGET } from "./support.ts";

const tokenizer = new Tokenizer(tokenizerJson, tokenizerConfig);
const encode = (text: string) => tokenizer.encode(text, { add_special_tokens: false }).ids;
const byte = (text: string) => encode(text)[0]!;

let key: string;
let verifier: ScriptedVerifier;
const post = (path: string, fields: object, headers: object = {}) =>
  call(path, {
    key,
    headers: { "cache-control": "no-store", ...headers },
    body: { model: TARGET, temperature: 0, ...fields },
  });
const completion = (fields: object, headers: object = {}) => post("/v1/completions", fields, headers);
type Choice = {
  index: number;
  text: string;
  finish_reason: string | null;
  logprobs: { tokens: string[]; token_logprobs: (number | null)[]; text_offset: number[] } & {
    top_logprobs: (Record<string, number> | null)[];
  };
};
type Answer = { choices: Choice[]; usage: { prompt_tokens: number; completion_tokens: number } };
const answer = async (fields: object): Promise<Answer> => {
  const response = await completion(fields);
  expect(response.status).toBe(200);
  return response.json();
};
const texts = ({ choices }: Answer) => choices.map(({ text }) => text);
const chunksOf = async (response: Response) => {
  const data = await events(response);
  expect(data.at(-1)).toBe("[DONE]");
  return data.slice(0, -1).map((text) => JSON.parse(text));
};

beforeAll(async () => {
  await migrate();
  await publishTarget();
  ({ key } = await newKey());
});
beforeEach(() => {
  // Says the prompt's first character three times, then ends.
  verifier = new ScriptedVerifier({ next: () => END_ID });
  const lengths = new Map<number, number>();
  verifier.script.next = (text) => {
    const length = lengths.get(text[0]!) ?? text.length;
    lengths.set(text[0]!, length);
    return text.length < length + 3 ? text[0]! : END_ID;
  };
  routeLinksTo(verifier);
});
afterEach(() => {
  expect(verifier.bad).toEqual([]);
  vi.restoreAllMocks();
});

describe("several prompts", () => {
  it("are answered in their order, as text and as ids", async () => {
    const words = ["a1", "b2", "c3", "d4", "e5", "f6"];
    const expected = words.map((word) => word[0]!.repeat(3));
    for (const prompt of [words, words.map(encode)]) {
      const body = await answer({ prompt });
      expect(texts(body)).toEqual(expected);
      expect(body.choices.map(({ index }) => index)).toEqual([0, 1, 2, 3, 4, 5]);
      expect(body.usage).toMatchObject({ prompt_tokens: 12, completion_tokens: 24 });
    }
  });

  it("run four at a time", async () => {
    verifier.script.stepMs = 5;
    let most = 0;
    const { next } = verifier.script;
    verifier.script.next = (text) => {
      most = Math.max(most, verifier.running);
      return next(text);
    };
    await answer({ prompt: ["a", "b", "c", "d", "e", "f", "g"] });
    expect(most).toBe(4);
  });

  it("stream side by side, each choice with an end of its own and one usage for all", async () => {
    const stream = { stream: true, stream_options: { include_usage: true } };
    const chunks = await chunksOf(await completion({ prompt: ["a1", "b2", "c3"], ...stream }));
    const usage = chunks.pop();
    expect(usage).toMatchObject({ choices: [], usage: { prompt_tokens: 6, completion_tokens: 12 } });
    const byIndex = ["", "", ""];
    for (const { choices } of chunks) byIndex[choices[0].index] += choices[0].text;
    expect(byIndex).toEqual(["aaa", "bbb", "ccc"]);
    const ends = chunks.filter(({ choices }) => choices[0].finish_reason !== null);
    expect(ends.map(({ choices }) => choices[0].index).sort()).toEqual([0, 1, 2]);
    expect(new Set(chunks.map(({ id }) => id)).size).toBe(1);
  });

  it("end together where one of them fails", async () => {
    verifier.script.stepMs = 5;
    const { next } = verifier.script;
    verifier.script.next = (text) => (text[0] === byte("b") ? 1e9 : next(text));
    const data = await events(await completion({ prompt: ["a1", "b2", "c3"], stream: true }));
    expect(JSON.parse(data.at(-1)!)).toMatchObject({ error: { code: "verifier_unreachable" } });
    await eventually(() => expect(verifier.running).toBe(0));
    verifier.bad.length = 0;
  });

  it("are all cancelled when the client goes away", async () => {
    verifier.script = { next: () => byte("a"), stepMs: 5 };
    const response = await completion({ prompt: ["a", "b", "c", "d", "e"], max_tokens: 400, stream: true });
    const reader = response.body!.getReader();
    for (let n = 0; n < 8; n++) await reader.read();
    await reader.cancel();
    await eventually(() => expect(verifier.closed).toBe(4));
    expect(verifier.opens).toHaveLength(4);
  });
});

describe("several choices", () => {
  it("are drawn with the seeds that follow the request's", async () => {
    const body = await answer({ prompt: ["a", "b"], n: 3, seed: "18446744073709551614" });
    const seeds = verifier.opens.map(({ prompt, sampling }) => `${prompt[0]} ${sampling.seed}`);
    const expected = ["18446744073709551614", "18446744073709551615", "0"];
    expect(seeds.sort()).toEqual(["a", "b"].flatMap((p) => expected.map((s) => `${byte(p)} ${s}`)).sort());
    expect(texts(body)).toEqual(["aaa", "aaa", "aaa", "bbb", "bbb", "bbb"]);
    expect(body.usage).toMatchObject({ prompt_tokens: 2, completion_tokens: 24 });
  });

  it("have a report each", async () => {
    const response = await completion({ prompt: "a", n: 2, seed: 7 }, { "x-outrider-details": "1" });
    const { outrider } = (await response.json()) as { outrider: { seed: string }[] };
    expect(outrider.map(({ seed }) => seed)).toEqual(["7", "8"]);
  });

  it("of a chat begin with their role, each", async () => {
    verifier.script = { next: (text) => (text.at(-1) === byte("x") ? END_ID : byte("x")) };
    const fields = { messages: [{ role: "user", content: "hi" }], n: 2 };
    const whole = (await (await post("/v1/chat/completions", fields)).json()) as {
      choices: { message: { content: string } }[];
    };
    expect(whole.choices.map(({ message }) => message.content)).toEqual(["x", "x"]);
    const chunks = await chunksOf(await post("/v1/chat/completions", { ...fields, stream: true }));
    for (const index of [0, 1]) {
      const mine = chunks.map(({ choices }) => choices[0]).filter((choice) => choice.index === index);
      expect(mine[0].delta.role).toBe("assistant");
      expect(mine.map(({ delta }) => delta.content ?? "").join("")).toBe("x");
      expect(mine.at(-1).finish_reason).toBe("stop");
    }
  });
});

describe("best_of", () => {
  it("shows the candidates of the highest mean log probability and counts all of them", async () => {
    verifier.script.logprob = ({ sampling }) => -Math.abs(Number(sampling.seed) - 12);
    const body = await answer({ prompt: ["a", "b"], n: 2, best_of: 4, seed: 10, logprobs: 0 });
    expect(body.choices.map(({ logprobs }) => logprobs.token_logprobs[0])).toEqual([0, -1, 0, -1]);
    expect(body.choices.map(({ index }) => index)).toEqual([0, 1, 2, 3]);
    expect(body.usage).toMatchObject({ prompt_tokens: 2, completion_tokens: 32 });
  });

  it("shows no log probabilities that nobody asked for", async () => {
    const body = await answer({ prompt: "a", best_of: 2 });
    expect(body.choices).toMatchObject([{ text: "aaa", logprobs: null }]);
  });
});

describe("echo", () => {
  it("begins with the prompt, whole and streamed", async () => {
    const fields = { prompt: ["a 👋 1", "b2"], echo: true };
    expect(texts(await answer(fields))).toEqual(["a 👋 1aaa", "b2bbb"]);
    const chunks = await chunksOf(await completion({ ...fields, stream: true }));
    const byIndex = ["", ""];
    for (const { choices } of chunks) byIndex[choices[0].index] += choices[0].text;
    expect(byIndex).toEqual(["a 👋 1aaa", "b2bbb"]);
    expect(verifier.opens[0]!.prompt_logprobs).toBeUndefined();
  });

  it("scores the prompt's tokens, the first of which has no score", async () => {
    const { choices, usage } = await answer({ prompt: "hello", echo: true, logprobs: 1, max_tokens: 1 });
    expect(choices[0]).toMatchObject({
      text: "hellohe",
      logprobs: {
        tokens: ["he", "ll", "o", "he"],
        token_logprobs: [null, -1, -1, -0.5],
        top_logprobs: [null, { ll: -1 }, { o: -1 }, { he: -0.5 }],
        text_offset: [0, 2, 4, 5],
      },
    });
    expect(usage).toMatchObject({ prompt_tokens: 3, completion_tokens: 1 });
    expect(verifier.opens[0]!.prompt_logprobs).toBe(1);
  });

  it("only scores where no token is wanted", async () => {
    const { choices, usage } = await answer({ prompt: "hello", echo: true, logprobs: 0, max_tokens: 0 });
    expect(choices[0]).toMatchObject({ text: "hello", finish_reason: "length" });
    expect(choices[0]!.logprobs.token_logprobs).toEqual([null, -1, -1]);
    expect(usage).toMatchObject({ prompt_tokens: 3, completion_tokens: 0 });
  });

  it("shows special tokens of a text where they stand in it, and those of ids by name", async () => {
    const text = "a<|end|>b";
    const echoed = { echo: true, logprobs: 0, max_tokens: 0 };
    for (const prompt of [text, [byte("a"), END_ID, byte("b")]]) {
      const { choices } = await answer({ prompt, ...echoed });
      expect(choices[0]).toMatchObject({ text, logprobs: { text_offset: [0, 1, 8] } });
    }
  });

  it("has as many scores as tokens where the text ends at once", async () => {
    verifier.script.next = () => END_ID;
    const { choices } = await answer({ prompt: "hello", echo: true, logprobs: 1, max_tokens: 1 });
    expect(choices[0]!.logprobs.tokens).toEqual(["he", "ll", "o", "<|end|>"]);
    expect(choices[0]!.finish_reason).toBe("stop");
  });
});
