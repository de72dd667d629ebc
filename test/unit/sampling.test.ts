import { describe, expect, it } from "vitest";
import { expSum } from "../../gpu-service/protocol/exponential.ts";
import type { Sampling } from "../../gpu-service/protocol/frames.ts";
import {
  choiceSeed,
  gumbel,
  gumbelBound,
  mix32,
  naturalLog,
  noiseBits,
  positionKey,
} from "../../gpu-service/protocol/noise.ts";
import { argmax, chooseToken, logprobsOf, penalise, topIds } from "../../gpu-service/protocol/sampling.ts";
import { allowedTokens } from "../../gpu-service/protocol/truncation.ts";
import cases from "../cases/sampling.json" with { type: "json" };
import { GREEDY } from "../support/sequences.ts";

const logitsFrom = (seed: number, length: number, spread = 12): Float32Array =>
  Float32Array.from({ length }, (_, i) => ((mix32(seed * 7919 + i) % 10_000) / 10_000) * spread);
const seeds = (n: number) => Array.from({ length: n }, (_, i) => i + 1);

/** The definition, written out: rank everything, take prefixes. */
function obviousAllowed(logits: Float32Array, s: Sampling): number[] {
  const highest = Math.max(...logits);
  const p = Array.from(logits, (x) => Math.exp((x - highest) / s.temperature));
  let ids = [...p.keys()].sort((a, b) => p[b]! - p[a]! || a - b);
  if (s.top_k > 0) ids = ids.slice(0, s.top_k);
  if (s.top_p < 1) {
    const total = ids.reduce((sum, id) => sum + p[id]!, 0);
    let sum = 0;
    let count = 0;
    while (sum < s.top_p * total && count < ids.length) sum += p[ids[count++]!]!;
    ids = ids.slice(0, count);
  }
  return ids.filter((id) => p[id]! >= s.min_p * (1 - 1e-12));
}

function obviousToken(logits: Float32Array, s: Sampling, seed: bigint, position: number): number {
  const key = positionKey(seed, position);
  const ids = obviousAllowed(logits, s).sort((a, b) => a - b);
  const scores = ids.map((id) => logits[id]! / s.temperature + gumbel(noiseBits(key, id)));
  return ids[scores.indexOf(Math.max(...scores))]!;
}

describe("golden vectors", () => {
  it("noise", () => {
    for (const c of cases.noise) {
      const bits = noiseBits(positionKey(BigInt(c.seed), c.position), c.token);
      expect(bits).toBe(c.bits);
      expect(gumbel(bits)).toBe(c.gumbel);
    }
    for (const c of cases.edges) expect(gumbel(c.bits)).toBe(c.gumbel);
    for (const c of cases.choices) expect(choiceSeed(BigInt(c.seed), c.index).toString()).toBe(c.choice_seed);
  });
  it("draws", () => {
    for (const c of cases.draws) {
      const sampling = c.sampling as Sampling;
      const counts = new Map<number, number>();
      for (const id of c.output) counts.set(id, (counts.get(id) ?? 0) + 1);
      const logits = Float32Array.from(c.logits);
      penalise(logits, sampling, counts);
      expect(chooseToken(logits, sampling, BigInt(sampling.seed), c.position)).toBe(c.token);
    }
  });
});

describe("noise", () => {
  it("its logarithm is that of the library to 1e-14", () => {
    for (const i of seeds(20_000)) {
      const x = (mix32(i) + 0.5) / 2 ** 32;
      expect(Math.abs(naturalLog(x) - Math.log(x))).toBeLessThanOrEqual(1e-14 * Math.max(1, -Math.log(x)));
    }
  });
  it("is never above its bound", () => {
    for (const i of seeds(20_000)) expect(gumbel(mix32(i))).toBeLessThanOrEqual(gumbelBound(mix32(i)));
    for (let ones = 0; ones <= 32; ones++) {
      const bits = ones === 32 ? 0xffff_ffff : 2 ** 32 - 2 ** (31 - ones) - 1;
      expect(gumbel(bits)).toBeLessThanOrEqual(gumbelBound(bits));
    }
  });
  it("is uniform in its bits over tokens, positions and seeds", () => {
    const axes = [
      (i: number) => noiseBits(positionKey(5n, 9), i),
      (i: number) => noiseBits(positionKey(5n, i), 9),
      (i: number) => noiseBits(positionKey(BigInt(i) << 32n, 9), 9),
    ];
    for (const bitsAt of axes) {
      const buckets = new Float64Array(64);
      const n = 64_000;
      for (let i = 0; i < n; i++) buckets[bitsAt(i) >>> 26]!++;
      const chi = buckets.reduce((sum, seen) => sum + (seen - n / 64) ** 2 / (n / 64), 0);
      // 63 degrees of freedom: 120 is beyond 1 in 100,000.
      expect(chi).toBeLessThan(120);
    }
  });
});

describe("a draw", () => {
  it("without noise is the highest logit, the lowest id of a tie", () => {
    expect(chooseToken(Float32Array.of(1, 3, 3, 2), GREEDY, 1n, 0)).toBe(1);
  });

  it("follows the softmax (chi-square)", () => {
    const logits = logitsFrom(3, 12, 4);
    const n = 60_000;
    for (const temperature of [0.7, 1, 1.6]) {
      const sampling = { ...GREEDY, temperature };
      const seen = new Float64Array(12);
      for (let i = 0; i < n; i++) seen[chooseToken(logits, sampling, 77n, i)]!++;
      const weights = Array.from(logits, (x) => Math.exp(x / temperature));
      const total = weights.reduce((a, b) => a + b);
      const chi = weights.reduce((sum, w, i) => {
        const expected = (n * w) / total;
        return sum + (seen[i]! - expected) ** 2 / expected;
      }, 0);
      // 11 degrees of freedom: 45 is beyond 1 in 100,000.
      expect(chi).toBeLessThan(45);
    }
  });

  it("is that of the definition, whatever is pruned for speed", () => {
    for (const seed of seeds(150)) {
      const logits = logitsFrom(seed, 500 + (seed % 7) * 300, seed % 3 ? 12 : 60);
      for (const temperature of [0.2, 0.8, 2]) {
        const sampling = { ...GREEDY, temperature };
        expect(chooseToken(logits, sampling, BigInt(seed), seed)).toBe(
          obviousToken(logits, sampling, BigInt(seed), seed),
        );
      }
    }
  });

  const truncations: Partial<Sampling>[] = [
    { top_k: 1 },
    { top_k: 7 },
    { top_k: 5000 },
    { top_p: 0.1 },
    { top_p: 0.9 },
    { top_p: 0.999_99 },
    { min_p: 0.3 },
    { min_p: 0.000_1 },
    { top_k: 50, top_p: 0.8 },
    { top_k: 20, min_p: 0.05 },
    { top_k: 40, top_p: 0.95, min_p: 0.1 },
  ];
  for (const truncation of truncations) {
    it(`leaves what ${JSON.stringify(truncation)} leaves by definition`, () => {
      for (const seed of seeds(30)) {
        for (const temperature of [0.5, 1, 2]) {
          const sampling = { ...GREEDY, temperature, ...truncation };
          const logits = logitsFrom(seed, 1000, seed % 2 ? 12 : 40);
          const expected = obviousAllowed(logits, sampling).sort((a, b) => a - b);
          expect(allowedTokens(logits, sampling, logits[argmax(logits)]!)).toEqual(expected);
          expect(chooseToken(logits, sampling, 5n, seed)).toBe(obviousToken(logits, sampling, 5n, seed));
        }
      }
    });
  }

  it("keeps the lower ids of a tie at the edge of top-k", () => {
    const sampling = { ...GREEDY, temperature: 1, top_k: 2 };
    expect(allowedTokens(Float32Array.of(1, 2, 1, 1), sampling, 2)).toEqual([0, 1]);
  });
});

describe("log probabilities", () => {
  it("are those of the softmax, with the likeliest ids", () => {
    const logits = logitsFrom(4, 3000);
    const total = logits.reduce((sum, x) => sum + Math.exp(x), 0);
    const { logprob, top } = logprobsOf(logits, 17, 4);
    expect(logprob).toBeCloseTo(logits[17]! - Math.log(total), 7);
    const ranked = [...logits.keys()].sort((a, b) => logits[b]! - logits[a]! || a - b);
    expect(top.map(([id]) => id)).toEqual(ranked.slice(0, 4));
    expect(topIds(logits, 4)).toEqual(ranked.slice(0, 4));
  });
  it("rest on a sum that is right to 1e-8", () => {
    for (const seed of seeds(50)) {
      const values = logitsFrom(seed, 2000, seed);
      const highest = Math.max(...values);
      const exact = values.reduce((sum, x) => sum + Math.exp((x - highest) / 0.7), 0);
      expect(Math.abs(expSum(values, highest, 0.7) / exact - 1)).toBeLessThan(1e-8);
    }
  });
});

describe("speed", () => {
  it("a draw at vocabulary 49,152 is under 5% of a 40 ms step, even on a busy machine", () => {
    const logits = logitsFrom(9, 49_152, 30);
    const sampling = { ...GREEDY, temperature: 0.8 };
    const times = seeds(60).map((i) => {
      const started = performance.now();
      chooseToken(logits, sampling, 1n, i);
      return performance.now() - started;
    });
    expect(Math.min(...times)).toBeLessThan(2);
  });
});
