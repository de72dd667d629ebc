/** Writes test/cases/sampling.json: `node test/support/make-sampling-cases.ts > test/cases/sampling.json`. */
import type { Sampling } from "../../gpu-service/protocol/frames.ts";
import { choiceSeed, gumbel, mix32, noiseBits, positionKey } from "../../gpu-service/protocol/noise.ts";
import { chooseToken, penalise } from "../../gpu-service/protocol/sampling.ts";
import { GREEDY } from "./sequences.ts";

const SEEDS = ["0", "1", "42", "4294967295", "4294967296", "9007199254740993", "18446744073709551615"];
const POSITIONS = [0, 1, 2, 31, 255, 2047, 65_535, 4_294_967_295];
const TOKENS = [0, 1, 2, 17, 255, 32_000, 49_151, 151_935];

/** One position and token per seed and step: every pair of neighbours differs in all three. */
const noise = SEEDS.flatMap((seed, s) =>
  POSITIONS.map((position, p) => {
    const token = TOKENS[(s + p) % TOKENS.length]!;
    const bits = noiseBits(positionKey(BigInt(seed), position), token);
    return { seed, position, token, bits, gumbel: gumbel(bits) };
  }),
);
const edges = [0, 1, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 2, 2 ** 32 - 1].map((bits) => ({
  bits,
  gumbel: gumbel(bits),
}));
const choices = [0, 1, 2, 127].map((index) => ({
  seed: "42",
  index,
  choice_seed: choiceSeed(42n, index).toString(),
}));

const SETTINGS: Partial<Sampling>[] = [
  {},
  { temperature: 0.8 },
  { temperature: 2 },
  { temperature: 0.8, top_k: 3 },
  { temperature: 1.2, top_p: 0.7 },
  { temperature: 1, min_p: 0.1 },
  { temperature: 1.5, top_k: 12, top_p: 0.9, min_p: 0.02 },
  { temperature: 0.7, presence_penalty: 1.5, frequency_penalty: -0.5, logit_bias: [[3, 4]] },
];
const VOCABULARY = 24;
/** Quarters, exact in f32, with ties among them. */
const logitsOf = (n: number) =>
  Array.from({ length: VOCABULARY }, (_, id) => (mix32(n * 1000 + id) % 48) / 4 - 6);

const draws = SETTINGS.flatMap((setting, s) =>
  Array.from({ length: 12 }, (_, n) => {
    const seed = SEEDS[n % SEEDS.length]!;
    const sampling = { ...GREEDY, ...setting, seed };
    const position = 10 + n;
    const output = n % 2 ? [3, 5, 5] : [];
    const logits = logitsOf(s * 100 + n);
    const counts = new Map<number, number>();
    for (const id of output) counts.set(id, (counts.get(id) ?? 0) + 1);
    const penalised = Float32Array.from(logits);
    penalise(penalised, sampling, counts);
    return {
      sampling,
      position,
      output,
      logits,
      token: chooseToken(penalised, sampling, BigInt(seed), position),
    };
  }),
);

process.stdout.write(`${JSON.stringify({ noise, edges, choices, draws }, null, 1)}\n`);
