/** What the kernel draws: the shared noise, the token, the runner-up, their probabilities. */
import { expect, test } from "vitest";
import type { DraftEngine } from "../../edge/drafting/model/index.ts";
import { gumbel, noiseBits, positionKey } from "../../gpu-service/protocol/noise.ts";
import golden from "../cases/sampling.json" with { type: "json" };
import { engineOf } from "../support/draft-engine.ts";
import { type ImagePlan, randomImage, SMALL, xorshift } from "../support/draft-image.ts";

const UNTIED = { rows: SMALL.vocab, tied: false, short: false };

/** An engine that has computed logits once, so that only those of real rows are left to replace. */
async function warmEngine(plan: ImagePlan): Promise<DraftEngine> {
  const engine = await engineOf(randomImage(plan));
  const sequence = engine.open();
  sequence.extend([1]);
  await sequence.draft(1, { temperature: 0, seed: 0n });
  sequence.close();
  return engine;
}

function drawnBy(
  engine: DraftEngine,
  logits: Float32Array,
  temperature: number,
  seed: bigint,
  position: number,
) {
  engine.logits().set(logits);
  const { kernel, model } = engine;
  kernel.draw(model, temperature, Number(seed & 0xffff_ffffn), Number(seed >> 32n), position);
  const at = kernel.choiceOf(model);
  const [id, runnerUp] = new Int32Array(kernel.memory.buffer, at, 2);
  const [probability, runnerUpProbability] = new Float32Array(kernel.memory.buffer, at + 8, 2);
  return { id, runnerUp, probability: probability!, runnerUpProbability: runnerUpProbability! };
}

/** The two highest of logit / temperature + noise, and softmax, written plainly. `ids`: token of each row. */
function expectedDraw(
  logits: Float32Array,
  ids: number[],
  temperature: number,
  seed: bigint,
  position: number,
) {
  const key = positionKey(seed, position);
  const scores = Array.from(logits, (logit, row) => {
    return temperature === 0 ? logit : logit / temperature + gumbel(noiseBits(key, ids[row]!));
  });
  const order = ids.map((_, row) => row).sort((a, b) => scores[b]! - scores[a]! || a - b);
  const divisor = temperature || 1;
  const exponentials = Array.from(logits, (logit) => Math.exp(logit / divisor));
  const total = exponentials.reduce((a, b) => a + b);
  const [first, second] = order as [number, number];
  return {
    id: ids[first],
    runnerUp: ids[second],
    probability: exponentials[first]! / total,
    runnerUpProbability: exponentials[second]! / total,
  };
}

/** The kernel works in f32: an exponent of up to 600 is off by 4e-5, which is the relative error of its exponential. */
function expectClose(found: number, expected: number): void {
  expect(Math.abs(found - expected)).toBeLessThan(1e-4 * expected + 1e-9);
}

test("noise equals the contract's, bit for bit", async () => {
  const { kernel } = await engineOf(randomImage({ shape: SMALL, type: "int8" }));
  const random = xorshift(7);
  for (let i = 0; i < 3000; i++) {
    const seed = (BigInt(random()) << 32n) | BigInt(random());
    const [position, token] = [random() >>> (i % 32), random() >>> 14];
    const noise = kernel.noise(Number(seed & 0xffff_ffffn), Number(seed >> 32n), position, token);
    expect(noise).toBe(gumbel(noiseBits(positionKey(seed, position), token)));
  }
});

test("noise and draws equal the golden vectors that all languages share", async () => {
  const rows = golden.draws[0]!.logits.length;
  const shape = { ...SMALL, vocab: rows };
  const engine = await warmEngine({ shape, head: { rows, tied: false, short: false }, type: "int8" });
  for (const { seed, position, token, gumbel: expected } of golden.noise) {
    const bits = BigInt(seed);
    const noise = engine.kernel.noise(Number(bits & 0xffff_ffffn), Number(bits >> 32n), position, token);
    expect(noise).toBe(expected);
  }
  const plain = golden.draws.filter(
    ({ sampling: s, logits }) =>
      logits.length === rows &&
      s.top_p === 1 &&
      s.top_k === 0 &&
      s.min_p === 0 &&
      s.presence_penalty === 0 &&
      s.frequency_penalty === 0 &&
      s.logit_bias.length === 0,
  );
  expect(plain.length).toBeGreaterThan(10);
  for (const { sampling, position, logits, token } of plain) {
    const drawn = drawnBy(
      engine,
      Float32Array.from(logits),
      sampling.temperature,
      BigInt(sampling.seed),
      position,
    );
    expect(drawn.id).toBe(token);
  }
});

test.each([
  ["whole head", { shape: SMALL, head: UNTIED, type: "int8" as const }],
  [
    "short head",
    {
      shape: { ...SMALL, vocab: 2000 },
      head: { rows: 301, tied: false, short: true },
      type: "int8" as const,
    },
  ],
])("%s: token, runner-up and probabilities, at many temperatures", async (_, plan) => {
  const engine = await warmEngine(plan);
  const { rows } = plan.head;
  const ids = Array.from({ length: rows }, (_, row) => Math.floor((row * plan.shape.vocab) / rows));
  const random = xorshift(11);
  for (let i = 0; i < 600; i++) {
    const temperature = [0, 0.05, 0.3, 0.8, 1, 1.7, 20][i % 7]!;
    const spread = [0.1, 2, 30][i % 3]!;
    const logits = Float32Array.from({ length: rows }, () => (spread * random()) / 2 ** 32 - spread / 2);
    const seed = (BigInt(random()) << 32n) | BigInt(random());
    const drawn = drawnBy(engine, logits, temperature, seed, i);
    const expected = expectedDraw(logits, ids, temperature, seed, i);
    expect([drawn.id, drawn.runnerUp]).toEqual([expected.id, expected.runnerUp]);
    expectClose(drawn.probability, expected.probability);
    expectClose(drawn.runnerUpProbability, expected.runnerUpProbability);
  }
});

test("ties go to the lowest id, wherever they lie in the vectors", async () => {
  const engine = await warmEngine({ shape: SMALL, head: UNTIED, type: "int8" });
  const cases = [
    [5, 9], // the same lane
    [6, 9], // other lanes
    [8, 11], // one vector
    [0, 299],
  ] as const;
  for (const [low, high] of cases) {
    const logits = new Float32Array(SMALL.vocab);
    logits[low] = logits[high] = 1;
    const drawn = drawnBy(engine, logits, 0, 0n, 0);
    expect([drawn.id, drawn.runnerUp]).toEqual([low, high]);
  }
  const flat = drawnBy(engine, new Float32Array(SMALL.vocab), 0, 0n, 0);
  expect([flat.id, flat.runnerUp]).toEqual([0, 1]);
});

test("logits that are no numbers draw some id, and nothing breaks", async () => {
  const engine = await engineOf(randomImage({ shape: SMALL, type: "int8" }));
  for (const value of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
    for (const temperature of [0, 1]) {
      const { id, runnerUp } = drawnBy(engine, new Float32Array(SMALL.vocab).fill(value), temperature, 1n, 2);
      expect(id).toBeLessThan(SMALL.vocab);
      expect(runnerUp).toBeLessThan(SMALL.vocab);
    }
  }
});
