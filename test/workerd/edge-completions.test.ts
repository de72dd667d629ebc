import { Tokenizer } from "@huggingface/tokenizers";
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { verifyToken } from "../../gpu-service/protocol/token.ts";
import { END_ID, tokenizerConfig, tokenizerJson, VOCABULARY } from "../support/byte-tokenizer.ts";
import { ScriptedVerifier } from "../support/scripted-verifier.ts";
import {
  call,
  events,
  eventually,
  LINK_SECRET,
  migrate,
  newKey,
  publishTarget,
  routeLinksTo,
  TARGET,
} from "./support.ts";

const tokenizer = new Tokenizer(tokenizerJson, tokenizerConfig);
const encode = (text: string) => tokenizer.encode(text, { add_special_tokens: false }).ids;

/** Says `answer` after a prompt of `promptLength` ids, then ends. */
const saying = (answer: readonly number[], promptLength: number) => (text: readonly number[]) =>
  answer[text.length - promptLength] ?? END_ID;

const PROMPT = "the prompt";
const ANSWER = "hello world 👋 the end, and the end, and the end of it";
let key: string;
let verifier: ScriptedVerifier;
/** Nothing of it is kept: one test's answer would be the next one's drafts. */
const completion = (fields: object = {}, headers: Record<string, string> = {}) =>
  call("/v1/completions", {
    key,
    headers: { "cache-control": "no-store", ...headers },
    body: { model: TARGET, prompt: PROMPT, max_tokens: 200, temperature: 0, ...fields },
  });
type Whole = {
  choices: { text: string; finish_reason: string }[];
  usage: { completion_tokens: number };
};
const whole = async (fields: object = {}): Promise<Whole> => (await completion(fields)).json();
const chat = (fields: object = {}) =>
  call("/v1/chat/completions", {
    key,
    headers: { "cache-control": "no-store" },
    body: { model: TARGET, messages: [{ role: "user", content: "hi" }], ...fields },
  });

beforeAll(async () => {
  await migrate();
  await publishTarget();
  ({ key } = await newKey());
});
beforeEach(() => {
  verifier = new ScriptedVerifier({ next: saying(encode(ANSWER), encode(PROMPT).length) });
  routeLinksTo(verifier);
});
afterEach(() => {
  expect(verifier.bad).toEqual([]);
  vi.restoreAllMocks();
});

describe("a completion", () => {
  it("has OpenAI's shape and counts what it delivers", async () => {
    const response = await completion();
    expect(response.status).toBe(200);
    expect(response.headers.get("x-request-id")).toMatch(/^req_/);
    const prompt_tokens = encode(PROMPT).length;
    const completion_tokens = encode(ANSWER).length + 1;
    expect(await response.json()).toEqual({
      id: expect.stringMatching(/^cmpl-/),
      object: "text_completion",
      created: expect.any(Number),
      model: TARGET,
      choices: [{ index: 0, text: ANSWER, logprobs: null, finish_reason: "stop" }],
      usage: { prompt_tokens, completion_tokens, total_tokens: prompt_tokens + completion_tokens },
    });
  });

  it("opens a sequence under a token for the key's tenant", async () => {
    await completion({ seed: 5, top_p: 0.5, logit_bias: { "7": -100 } });
    const [open] = verifier.opens;
    expect(open).toMatchObject({
      target: TARGET,
      prompt: encode(PROMPT),
      stop_ids: [END_ID],
      drafts: true,
      sampling: { temperature: 0, seed: "5", top_p: 0.5, logit_bias: [[7, -100]] },
    });
    const keys = [{ id: "link", secret: LINK_SECRET }];
    const expected = { audience: TARGET, tenant: open!.tenant };
    expect(open!.tenant).toMatch(/^key_/);
    expect((await verifyToken(open!.token, keys, expected, Date.now() / 1000)).ok).toBe(true);
  });

  it("passes the trace on that it is part of, unless it is none", async () => {
    const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    await completion({}, { traceparent });
    for (const none of ["", traceparent.replace("b7ad6b7169203331", "0".repeat(16)), `${traceparent}0`]) {
      await completion({}, { traceparent: none });
    }
    expect(verifier.opens.map((open) => open.traceparent)).toEqual([
      traceparent,
      ...Array(3).fill(undefined),
    ]);
  });

  it("takes a seed of 64 bits, and the one that it reported back", async () => {
    const seedOf = async (seed: unknown) => {
      const response = await completion({ seed }, { "x-outrider-details": "1" });
      return ((await response.json()) as { outrider: { seed: string } }).outrider.seed;
    };
    expect(await seedOf("18446744073709551615")).toBe("18446744073709551615");
    expect(await seedOf(await seedOf(-1))).toBe("18446744073709551615");
    expect(await seedOf("007")).toBe("7");
  });

  it("takes prompts as text, ids, or a list of one", async () => {
    for (const prompt of [PROMPT, encode(PROMPT), [PROMPT], [encode(PROMPT)]]) {
      const body = (await (await completion({ prompt })).json()) as { choices: { text: string }[] };
      expect(body.choices[0]!.text).toBe(ANSWER);
    }
  });

  it("stops at a stop string and counts no token behind it", async () => {
    const body = (await (await completion({ stop: ["the end"] })).json()) as never;
    const before = ANSWER.slice(0, ANSWER.indexOf("the end"));
    expect(body).toMatchObject({ choices: [{ text: before, finish_reason: "stop" }] });
    expect((body as { usage: { completion_tokens: number } }).usage.completion_tokens).toBe(
      encode(ANSWER.slice(0, ANSWER.indexOf("the end") + "the end".length)).length,
    );
    await eventually(() => expect(verifier.cancels).toBeGreaterThan(0));
  });

  it("ends at the cap, inside a block as well", async () => {
    for (const max_tokens of [1, 2, 7, 20, 40]) {
      const body = await (await completion({ max_tokens })).json();
      expect(body).toMatchObject({
        choices: [{ finish_reason: "length" }],
        usage: { completion_tokens: max_tokens },
      });
    }
  });

  it("gives logprobs in the legacy shape", async () => {
    const body = (await (await completion({ logprobs: 1, max_tokens: 3 })).json()) as never;
    expect(body).toMatchObject({
      choices: [
        {
          text: "hello",
          logprobs: {
            tokens: ["he", "ll", "o"],
            token_logprobs: [-0.5, -0.5, -0.5],
            top_logprobs: [{ he: -0.5 }, { ll: -0.5 }, { o: -0.5 }],
            text_offset: [0, 2, 4],
          },
        },
      ],
    });
  });

  it("drafts by lookup where the text repeats itself, and says so when asked", async () => {
    verifier.script = { ...verifier.script, stepMs: 4 };
    const body = (await (await completion({}, { "x-outrider-details": "1" })).json()) as {
      outrider: { drafted: Record<string, number>; accepted: Record<string, number>; steps: number };
    };
    expect(body.outrider).toMatchObject({ release: null, seed: expect.stringMatching(/^\d+$/) });
    expect(body.outrider.accepted.lookup).toBeGreaterThan(5);
    expect(body.outrider.steps).toBeLessThan(encode(ANSWER).length);
  });

  it("sends no hints when the request turns drafts off", async () => {
    await completion({}, { "x-outrider-drafts": "off" });
    expect(verifier.opens[0]!.drafts).toBe(false);
    expect(verifier.hints).toEqual([]);
  });

  it("gives the same text under random and adversarial hints", async () => {
    for (const kind of ["honest", "random", "adversarial"]) {
      const body = await (await completion({}, { "x-outrider-hints": kind })).json();
      expect(body).toMatchObject({ choices: [{ text: ANSWER }] });
    }
    expect(verifier.hints.length).toBeGreaterThan(20);
  });
});

describe("a streamed completion", () => {
  it("ends with a finish reason, usage without choices, and [DONE]", async () => {
    const response = await completion({ stream: true, stream_options: { include_usage: true } });
    expect(response.headers.get("content-type")).toContain("text/event-stream");
    const data = await events(response);
    expect(data.at(-1)).toBe("[DONE]");
    const chunks = data.slice(0, -1).map((text) => JSON.parse(text));
    const usage = chunks.pop();
    expect(usage).toMatchObject({ choices: [], usage: { completion_tokens: encode(ANSWER).length + 1 } });
    for (const chunk of chunks) expect(chunk.usage).toBeNull();
    expect(chunks.map((chunk) => chunk.choices[0].text).join("")).toBe(ANSWER);
    expect(chunks.map((chunk) => chunk.choices[0].finish_reason)).toEqual([
      ...Array(chunks.length - 1).fill(null),
      "stop",
    ]);
    expect(new Set(chunks.map((chunk) => chunk.id)).size).toBe(1);
  });

  it("has no usage unless asked, and says where tokens come from when asked", async () => {
    const data = await events(await completion({ stream: true }, { "x-outrider-details": "1" }));
    const chunks = data.slice(0, -1).map((text) => JSON.parse(text));
    for (const chunk of chunks) expect(chunk).not.toHaveProperty("usage");
    const sources = new Set(chunks.slice(0, -1).map((chunk) => chunk.outrider.source));
    expect(sources).toEqual(new Set([null, "lookup"]));
    expect(chunks.at(-1).outrider).toMatchObject({ steps: expect.any(Number) });
  });

  it("cancels the verifier when the client goes away", async () => {
    const endless = () => encode("a")[0]!;
    verifier.script = { next: endless, stepMs: 5 };
    const response = await completion({ stream: true, max_tokens: 400 });
    const reader = response.body!.getReader();
    await reader.read();
    await reader.cancel();
    await eventually(() => expect(verifier.cancels).toBe(1));
    await eventually(() => expect(verifier.closed).toBe(1));
  });

  it("cancels the verifier when the client of a whole answer goes away", async () => {
    verifier.script = { next: () => encode("a")[0]!, stepMs: 5 };
    const response = await completion({ max_tokens: 400 });
    await response.body!.cancel();
    await eventually(() => expect(verifier.cancels).toBe(1));
    await eventually(() => expect(verifier.closed).toBe(1));
  });

  it("breaks a whole answer off when it fails in its middle", async () => {
    verifier.script = {
      ...verifier.script,
      next: (text) => (text.length > 20 ? VOCABULARY * 1e6 : text[0]!),
    };
    const response = await completion();
    await expect(response.text()).rejects.toThrow();
    verifier.bad.length = 0;
  });

  it("reports a failure after the first byte as an event, without [DONE]", async () => {
    verifier.script = {
      ...verifier.script,
      next: (text) => (text.length > 20 ? VOCABULARY * 1e6 : text[0]!),
    };
    const data = await events(await completion({ stream: true }));
    expect(JSON.parse(data.at(-1)!)).toMatchObject({
      error: { type: "server_error", code: "verifier_unreachable" },
    });
    verifier.bad.length = 0;
  });

  it("goes on at the next replica when the link breaks", async () => {
    verifier.script = { ...verifier.script, breakAfter: 9 };
    const data = await events(await completion({ stream: true }));
    const text = data.slice(0, -1).map((chunk) => JSON.parse(chunk).choices[0].text);
    expect(text.join("")).toBe(ANSWER);
    expect(verifier.opens).toHaveLength(2);
    expect(verifier.opens[1]).toMatchObject({
      confirmed: encode(ANSWER).slice(0, verifier.opens[1]!.confirmed!.length),
    });
    expect(verifier.opens[1]!.confirmed!.length).toBeGreaterThanOrEqual(9);
    expect(verifier.opens[1]!.numerics).toBe("script");
  });

  it("asks a replica whose link broke once more, after the others", async () => {
    verifier.script = { ...verifier.script, breakAfter: 9, breaks: 3 };
    expect((await whole()).choices[0]!.text).toBe(ANSWER);
    expect(verifier.opens).toHaveLength(4);
  });

  it("gives up when every replica's link has broken twice", async () => {
    verifier.script = { ...verifier.script, breakAfter: 9, breaks: 5 };
    const data = await events(await completion({ stream: true }));
    expect(JSON.parse(data.at(-1)!)).toMatchObject({ error: { code: "verifier_unreachable" } });
    expect(verifier.opens).toHaveLength(4);
  });

  it("passes a replica of other numerics by while another may have its own", async () => {
    verifier.script = { ...verifier.script, breakAfter: 9, numerics: ["a", "b", "a"] };
    expect((await whole()).choices[0]!.text).toBe(ANSWER);
    expect(verifier.opens.map(({ numerics }) => numerics)).toEqual([undefined, "a", "a"]);
  });

  it("shows what it held back where the verifier's context ends first", async () => {
    const shown = ANSWER.indexOf("the end") + "the e".length;
    verifier.script.context = encode(PROMPT).length + encode(ANSWER.slice(0, shown)).length;
    const body = await whole({ stop: ["the end!"] });
    expect(body.choices[0]).toMatchObject({ text: ANSWER.slice(0, shown), finish_reason: "length" });
    expect(body.usage.completion_tokens).toBe(encode(ANSWER.slice(0, shown)).length);
  });
});

describe("a chat completion", () => {
  beforeEach(() => {
    const promptLength = encode("<|start|>user: hi<|end|><|start|>assistant: ").length;
    verifier.script = { next: saying(encode("hello!"), promptLength) };
  });

  it("has OpenAI's shape", async () => {
    const body = await (await chat({ logprobs: true, top_logprobs: 1 })).json();
    expect(body).toMatchObject({
      id: expect.stringMatching(/^chatcmpl-/),
      object: "chat.completion",
      choices: [
        {
          index: 0,
          message: { role: "assistant", content: "hello!", refusal: null },
          logprobs: { content: [{ token: "he", bytes: [104, 101], logprob: -0.5 }, {}, {}, {}] },
          finish_reason: "stop",
        },
      ],
    });
  });

  it("streams the role first", async () => {
    const data = await events(await chat({ stream: true }));
    const chunks = data.slice(0, -1).map((text) => JSON.parse(text));
    expect(chunks[0].choices[0].delta.role).toBe("assistant");
    expect(chunks.map((chunk) => chunk.choices[0].delta.content ?? "").join("")).toBe("hello!");
    expect(chunks.at(-1).choices[0]).toMatchObject({ delta: {}, finish_reason: "stop" });
  });

  it("takes text parts and the newer name of the system role", async () => {
    const messages = [
      { role: "developer", content: "be kind" },
      {
        role: "user",
        content: [
          { type: "text", text: "h" },
          { type: "text", text: "i" },
        ],
      },
    ];
    await chat({ messages, max_completion_tokens: 1 });
    expect(tokenizer.decode(verifier.opens[0]!.prompt)).toContain("system: be kind");
    expect(tokenizer.decode(verifier.opens[0]!.prompt)).toContain("user: hi");
  });
});
