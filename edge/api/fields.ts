/** What both completion endpoints have in common: sampling fields, and which other fields are refused or ignored. */
import { z } from "zod";
import { MAX_LOGIT_BIAS, type Sampling } from "../../gpu-service/protocol/frames.ts";
import { type ApiError, invalidRequest } from "./errors.ts";
import { predictionField } from "./prediction.ts";

const MAX_STOPS = 16;
const MAX_STOP_CHARACTERS = 1024;

const stopString = z.string().min(1, "a stop string must not be empty").max(MAX_STOP_CHARACTERS);

/** Integers of 64 bits do not fit JSON's numbers. */
const seedText = z
  .string()
  .regex(/^\d{1,20}$/)
  .refine((digits) => BigInt(digits) < 1n << 64n);

/** Null counts as absent everywhere: the SDKs send it. */
export const commonFields = {
  model: z.string().min(1).max(128),
  temperature: z.number().min(0).max(2).nullish(),
  top_p: z.number().gt(0).max(1).nullish(),
  top_k: z.int().min(0).max(1_000_000).nullish(),
  min_p: z.number().min(0).max(1).nullish(),
  seed: z
    .union([z.int(), seedText], { error: "must be an integer, or one below 2^64 as a string" })
    .nullish(),
  presence_penalty: z.number().min(-2).max(2).nullish(),
  frequency_penalty: z.number().min(-2).max(2).nullish(),
  logit_bias: z
    .record(z.string().regex(/^\d{1,8}$/, "keys must be token ids"), z.number().min(-100).max(100))
    .nullish(),
  stop: z.union([stopString.transform((s) => [s]), z.array(stopString).max(MAX_STOPS)]).nullish(),
  prediction: predictionField,
  stream: z.boolean().nullish(),
  stream_options: z.object({ include_usage: z.boolean().nullish() }).nullish(),
};
export type CommonRequest = z.infer<z.ZodObject<typeof commonFields>>;

/** Without a seed a request gets this random one; it fits a JSON number, so that it can be sent back. */
const randomSeed = (): bigint => {
  const [high, low] = crypto.getRandomValues(new Uint32Array(2));
  return (BigInt(high! & 0x1f_ffff) << 32n) | BigInt(low!);
};

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

/** Fields that change nothing about the text of this service, so they may be ignored. */
const IGNORED = new Set([
  "user",
  "metadata",
  "store",
  "service_tier",
  "safety_identifier",
  "prompt_cache_key",
  "prompt_cache_retention",
]);

/** Unsupported fields that would change the text, each with the values that ask for nothing. */
const UNSUPPORTED: Record<string, (value: unknown) => boolean> = {
  n: (v) => v === 1,
  best_of: (v) => v === 1,
  echo: (v) => v === false,
  suffix: (v) => v === "",
  tools: isEmptyList,
  functions: isEmptyList,
  tool_choice: (v) => v === "none" || v === "auto",
  function_call: (v) => v === "none" || v === "auto",
  parallel_tool_calls: (v) => typeof v === "boolean",
  response_format: (v) => typeof v === "object" && (v as { type?: unknown }).type === "text",
  modalities: (v) => Array.isArray(v) && v.every((kind) => kind === "text"),
};

function isEmptyList(value: unknown): boolean {
  return Array.isArray(value) && value.length === 0;
}

/** The first field that would change the text and is not supported; nothing is accepted and dropped in silence. */
export function unsupportedField(body: object, known: ReadonlySet<string>): ApiError | undefined {
  for (const [field, value] of Object.entries(body)) {
    if (known.has(field) || IGNORED.has(field) || value === null) continue;
    const asksForNothing = Object.hasOwn(UNSUPPORTED, field) ? UNSUPPORTED[field] : undefined;
    if (asksForNothing?.(value)) continue;
    return asksForNothing
      ? invalidRequest(`${field}: this value is not supported`, field, "unsupported_parameter")
      : invalidRequest(`Unrecognized request argument supplied: ${field}`, field, "unknown_parameter");
  }
  return undefined;
}

/** Checks a parsed JSON body against a schema and the rules above. Throws an ApiError. */
export function readRequest<Shape extends z.ZodRawShape>(
  body: unknown,
  schema: z.ZodObject<Shape>,
  toError: (error: z.ZodError) => ApiError,
): z.infer<z.ZodObject<Shape>> {
  if (typeof body !== "object" || body === null || Array.isArray(body)) {
    throw invalidRequest("The body must be a JSON object.");
  }
  const unsupported = unsupportedField(body, new Set(Object.keys(schema.shape)));
  if (unsupported) throw unsupported;
  const result = schema.safeParse(body);
  if (!result.success) throw toError(result.error);
  const { stream, stream_options } = result.data as unknown as CommonRequest;
  if (stream_options && !stream) {
    throw invalidRequest("stream_options is only allowed with stream: true", "stream_options");
  }
  return result.data;
}
