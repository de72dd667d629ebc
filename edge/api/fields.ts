/** What both completion endpoints have in common, and the settings of the sampling that it comes to. */
import { z } from "zod";
import { MAX_LOGIT_BIAS, type Sampling } from "../../gpu-service/protocol/frames.ts";
import { invalidRequest } from "./errors.ts";
import { predictionField } from "./prediction.ts";
import { ignoredFields, neutralFields } from "./tolerated.ts";

const MAX_STOPS = 16;
/** Choices of one prompt. */
const MAX_N = 128;
const MAX_STOP_CHARACTERS = 1024;

const stopString = z.string().min(1, "a stop string must not be empty").max(MAX_STOP_CHARACTERS);

/** Integers of 64 bits do not fit JSON's numbers. A check runs on what an earlier one refused, too. */
const seedText = z
  .string()
  .regex(/^\d{1,20}$/)
  .refine((text) => /^\d{1,20}$/.test(text) && BigInt(text) < 1n << 64n);

/** Null counts as absent everywhere: the SDKs send it. */
export const commonFields = {
  model: z.string().min(1).max(128),
  temperature: z.number().min(0).max(2).nullish().describe("0 always takes the likeliest token."),
  top_p: z
    .number()
    .gt(0)
    .max(1)
    .nullish()
    .describe("Only the likeliest tokens of this probability together."),
  top_k: z.int().min(0).max(1_000_000).nullish().describe("Only so many likeliest tokens; 0: all."),
  min_p: z
    .number()
    .min(0)
    .max(1)
    .nullish()
    .describe("Only tokens of this share of the likeliest one's probability."),
  seed: z
    .union([z.int(), seedText], { error: "must be an integer, or one below 2^64 as a string" })
    .nullish()
    .describe("The same seed, prompt and settings give the same text; choice k is drawn with seed + k."),
  presence_penalty: z.number().min(-2).max(2).nullish().describe("Taken from tokens that the output has."),
  frequency_penalty: z.number().min(-2).max(2).nullish().describe("The same, for each time."),
  logit_bias: z
    .record(z.string().regex(/^\d{1,8}$/, "keys must be token ids"), z.number().min(-100).max(100))
    .nullish()
    .describe("Added to the logits of these token ids."),
  stop: z
    .union([stopString.transform((s) => [s]), z.array(stopString).max(MAX_STOPS)])
    .nullish()
    .describe("The text ends before the first of them."),
  prediction: predictionField.describe(
    "What the output is expected to be: drafts are taken from it, the text stays the same.",
  ),
  stream: z.boolean().nullish().describe("Server-sent events."),
  n: z.int().min(1).max(MAX_N).nullish().describe("Choices of each prompt."),
  stream_options: z
    .strictObject({ include_usage: z.boolean().nullish(), include_obfuscation: z.boolean().nullish() })
    .nullish(),
  ...ignoredFields,
  ...neutralFields,
};
export type CommonRequest = z.output<z.ZodObject<typeof commonFields>>;

/** Without a seed a request gets this random one; it fits a JSON number, so that it can be sent back. */
const randomSeed = (): bigint => {
  const [high, low] = crypto.getRandomValues(new Uint32Array(2));
  return (BigInt(high! & 0x1f_ffff) << 32n) | BigInt(low!);
};

/** Of a request's first choice; `samplingOfChoice` gives the others'. */
export function samplingOf(request: CommonRequest): Sampling {
  const seed = request.seed == null ? randomSeed() : BigInt.asUintN(64, BigInt(request.seed));
  const bias = Object.entries(request.logit_bias ?? {});
  if (bias.length > MAX_LOGIT_BIAS) {
    throw invalidRequest(`logit_bias: at most ${MAX_LOGIT_BIAS} tokens`, "logit_bias");
  }
  return {
    temperature: request.temperature ?? 1,
    top_p: request.top_p ?? 1,
    top_k: request.top_k ?? 0,
    min_p: request.min_p ?? 0,
    seed: seed.toString(),
    presence_penalty: request.presence_penalty ?? 0,
    frequency_penalty: request.frequency_penalty ?? 0,
    logit_bias: bias.map(([id, value]) => [Number(id), value]),
  };
}

/** The choice of number `k` is drawn with the seed that lies `k` behind the request's. */
export const samplingOfChoice = (sampling: Sampling, k: number): Sampling =>
  k === 0
    ? sampling
    : { ...sampling, seed: BigInt.asUintN(64, BigInt(sampling.seed) + BigInt(k)).toString() };
