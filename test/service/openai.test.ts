import OpenAI from "openai";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { pacedAs7B } from "../../infra/bench/paced/regime.ts";
import { startTemporarySystem } from "../../infra/bench/temporary-system.ts";
import type { System } from "../../infra/start/system.ts";

/** The tiny model likes to end early: texts of a known length need its end ids (0 and 2) forbidden. */
const END_FORBIDDEN = { "0": -100, "2": -100 };

describe("the official OpenAI client", () => {
  let system: System | undefined;
  let client: OpenAI;
  let model: string;

  beforeAll(async () => {
    // At a pace at which a text is not over before its client can leave.
    system = await startTemporarySystem({ target: "tiny", regime: pacedAs7B() });
    client = new OpenAI({ baseURL: `${system.address}/v1`, apiKey: system.key, maxRetries: 0 });
    model = system.target;
  });
  afterAll(() => system?.stop());

  it("lists the model", async () => {
    const models = await client.models.list();
    expect(models.data.map(({ id }) => id)).toEqual([model]);
  });

  it("streams a completion that equals the whole one", async () => {
    const request = {
      model,
      prompt: "def add(a, b):\n",
      max_tokens: 40,
      temperature: 0.8,
      seed: 7,
      logit_bias: END_FORBIDDEN,
    };
    const whole = await client.completions.create(request);
    const stream = await client.completions.create({
      ...request,
      stream: true,
      stream_options: { include_usage: true },
    });
    let text = "";
    let finish: string | null = null;
    let usage: OpenAI.CompletionUsage | null | undefined;
    for await (const chunk of stream) {
      text += chunk.choices[0]?.text ?? "";
      finish = chunk.choices[0]?.finish_reason ?? finish;
      usage = chunk.usage ?? usage;
    }
    expect(text.length).toBeGreaterThan(0);
    expect(text).toBe(whole.choices[0]?.text);
    expect(finish).toBe(whole.choices[0]?.finish_reason);
    expect(usage).toEqual(whole.usage);
    expect(usage?.completion_tokens).toBe(40);
  });

  it("streams a chat", async () => {
    const stream = await client.chat.completions.create({
      model,
      messages: [{ role: "user", content: "What is a list?" }],
      max_completion_tokens: 24,
      logit_bias: END_FORBIDDEN,
      stream: true,
    });
    const deltas: OpenAI.ChatCompletionChunk.Choice[] = [];
    for await (const chunk of stream) deltas.push(...chunk.choices);
    expect(deltas[0]?.delta.role).toBe("assistant");
    expect(deltas.map(({ delta }) => delta.content ?? "").join("").length).toBeGreaterThan(0);
    expect(deltas.at(-1)?.finish_reason).toMatch(/^(stop|length)$/);
    expect(deltas.slice(0, -1).every(({ finish_reason }) => finish_reason === null)).toBe(true);
  });

  it("is refused with a wrong key, in the shape the client knows", async () => {
    const stranger = new OpenAI({ baseURL: client.baseURL, apiKey: "sk-outrider-wrong", maxRetries: 0 });
    await expect(stranger.models.list()).rejects.toBeInstanceOf(OpenAI.AuthenticationError);
  });

  it("names the field of a bad request", async () => {
    const asked = client.completions.create({ model, prompt: "x", temperature: 9 });
    await expect(asked).rejects.toMatchObject({ status: 400, param: "temperature" });
  });

  it("frees the verifier when a client goes away", async () => {
    const verifier = system?.verifier ?? "";
    const before = await cancelledSequences(verifier);
    const controller = new AbortController();
    const stream = await client.completions.create(
      { model, prompt: "def f():\n", max_tokens: 400, logit_bias: END_FORBIDDEN, stream: true },
      { signal: controller.signal },
    );
    for await (const _ of stream) break;
    const left = performance.now();
    controller.abort();
    await expect.poll(() => cancelledSequences(verifier), { timeout: 30_000, interval: 10 }).toBe(before + 1);
    // The text would have taken 10 s. On a quiet machine it is below 100 ms: `npm run bench -- api`.
    expect(performance.now() - left).toBeLessThan(5_000);
  });
});

async function cancelledSequences(verifier: string): Promise<number> {
  const metrics = await (await fetch(`${verifier}/metrics`)).text();
  return Number(/^outrider_verify_sequences_total\{outcome="cancelled"\} (\d+)/m.exec(metrics)?.[1] ?? 0);
}
