/**
 * Frames of the verification link: what the edge and the verifier say to each other.
 *
 * A link is one WebSocket; every frame is one small JSON text message (`wire.ts`) and belongs to one `stream`
 * (one completion). Positions are 0-based over prompt + output, the BOS included: the first
 * generated token of a prompt of n ids stands at position n.
 */
import { z } from "zod";

export const PROTOCOL_VERSION = 2;
export const MAX_FRAME_BYTES = 1 << 20;
export const MAX_PROMPT_IDS = 32_768;
export const MAX_HINT_IDS = 64;
export const MAX_BRANCHES = 8;
export const MAX_LOGPROBS = 20;
export const MAX_STOP_IDS = 16;
export const MAX_LOGIT_BIAS = 1024;
export const MAX_TOKEN_ID = 0xff_ffff;
export const MAX_UINT32 = 0xffff_ffff;

const tokenId = z.int().min(0).max(MAX_TOKEN_ID);
const position = z.int().min(0).max(MAX_UINT32);
const stream = z.int().min(1).max(MAX_UINT32);
const name = z.string().min(1).max(128);

/** Where a hint came from. `guess` is the verifier's own. */
export const HINT_SOURCES = ["model", "lookup", "memory", "prediction", "guess"] as const;
export const hintSource = z.enum(HINT_SOURCES);
export type HintSource = z.infer<typeof hintSource>;

/** What is left out of a frame's `sampling`: these change nothing. */
export const NEUTRAL_SAMPLING = {
  top_p: 1,
  top_k: 0,
  min_p: 0,
  presence_penalty: 0,
  frequency_penalty: 0,
  logit_bias: [],
} as const;
/** Settings that decide the text; applied in this order: penalties, bias, temperature, top-k, top-p, min-p. */
export const samplingSchema = z.object({
  temperature: z.number().min(0).max(2),
  top_p: z.number().gt(0).max(1).default(NEUTRAL_SAMPLING.top_p),
  /** 0: no limit. */
  top_k: z.int().min(0).max(1_000_000).default(NEUTRAL_SAMPLING.top_k),
  min_p: z.number().min(0).max(1).default(NEUTRAL_SAMPLING.min_p),
  /** Unsigned 64-bit integer in decimal: JSON numbers cannot hold it. */
  seed: z.string().regex(/^(0|[1-9]\d{0,19})$/),
  presence_penalty: z.number().min(-2).max(2).default(NEUTRAL_SAMPLING.presence_penalty),
  frequency_penalty: z.number().min(-2).max(2).default(NEUTRAL_SAMPLING.frequency_penalty),
  logit_bias: z
    .array(z.tuple([tokenId, z.number().min(-100).max(100)]))
    .max(MAX_LOGIT_BIAS)
    .default([...NEUTRAL_SAMPLING.logit_bias]),
});
export type Sampling = z.infer<typeof samplingSchema>;

/** The log probability of one token, with the likeliest tokens at its position (from the raw logits). */
const logprobEntry = z.object({
  logprob: z.number().max(0),
  top: z.array(z.tuple([tokenId, z.number().max(0)])).max(MAX_LOGPROBS),
});
export type LogprobEntry = z.infer<typeof logprobEntry>;

/** W3C Trace Context, version 00: version, trace, parent span, flags. */
export const traceparentSchema = z
  .string()
  .regex(/^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/);

export const openFrame = z.object({
  type: z.literal("open"),
  stream,
  /** The newest version that the edge speaks, and the oldest where that is another (`versions.ts`). */
  protocol: z.int(),
  oldest_protocol: z.int().optional(),
  target: name,
  /** sha256 (hex) of the tokenizer.json that made the ids. */
  tokenizer: z.string().regex(/^[0-9a-f]{64}$/),
  prompt: z.array(tokenId).min(1).max(MAX_PROMPT_IDS),
  /** Output ids that another replica confirmed already; they count as output for penalties, cap and usage. */
  confirmed: z.array(tokenId).max(MAX_PROMPT_IDS).optional(),
  /** With `confirmed`: the numerics id under which they were made. */
  numerics: name.optional(),
  sampling: samplingSchema,
  /** Most output ids, those of `confirmed` included. 0 only scores the prompt. */
  max_tokens: z.int().min(0).max(MAX_PROMPT_IDS),
  /** Ids that end the text, the target's own end ids included; the id that ends it is delivered. */
  stop_ids: z.array(tokenId).max(MAX_STOP_IDS),
  logprobs: z.int().min(0).max(MAX_LOGPROBS).optional(),
  prompt_logprobs: z.int().min(0).max(MAX_LOGPROBS).optional(),
  /** False: hints are ignored, the plain path. */
  drafts: z.boolean(),
  tenant: name,
  release: name.optional(),
  /** The trace that the request is part of; changes nothing, is logged. */
  traceparent: traceparentSchema.optional(),
  token: z.string().min(1).max(2048),
});
export type OpenFrame = z.infer<typeof openFrame>;

/** `from`: how many of the branch's ids an earlier hint of the path has named; `ids` are those that follow them. */
const branch = z.object({
  at: position,
  from: z
    .int()
    .min(1)
    .max(MAX_HINT_IDS - 1)
    .optional(),
  ids: z.array(tokenId).min(1).max(MAX_HINT_IDS),
});
export type HintedBranch = z.infer<typeof branch>;

/**
 * "From position `at` the text may go on with `ids`." `path` grows at each re-draft: a newer path drops all
 * waiting hints of older ones. A branch names another continuation of the same path from its own position. What is said
 * of a branch that the verifier does not know so far is ignored.
 */
export const hintFrame = z.object({
  type: z.literal("hint"),
  stream,
  path: z.int().min(0).max(MAX_UINT32),
  at: position,
  ids: z.array(tokenId).min(1).max(MAX_HINT_IDS),
  source: hintSource,
  branches: z.array(branch).max(MAX_BRANCHES).optional(),
});
export type HintFrame = z.infer<typeof hintFrame>;

export const cancelFrame = z.object({ type: z.literal("cancel"), stream });
export type CancelFrame = z.infer<typeof cancelFrame>;

/** The edge's answer to `opened`, at once: its delay is the round trip that the sequence really has. */
export const seenFrame = z.object({ type: z.literal("seen"), stream });

export const openedFrame = z.object({
  type: z.literal("opened"),
  stream,
  /** The version that both speak, where it is not the one that the edge asked for. */
  protocol: z.int().optional(),
  limits: z.object({ hint_ids: z.int(), context: z.int() }),
  prompt_tokens: z.int().min(0),
  cached_tokens: z.int().min(0),
  /** What bit-equality holds within: weights, engine and version, kernel family. */
  numerics: name,
  /** With `prompt_logprobs`: one entry per prompt id, null for the first. */
  prompt_logprobs: z.array(logprobEntry.nullable()).optional(),
});
export type OpenedFrame = z.infer<typeof openedFrame>;

/** Bytes of one likely token in `prompt_logprobs`: [id, logprob]. */
const LOGPROB_BYTES = 22;
/** Whether the scores of a prompt of `ids` ids, with `logprobs` likeliest tokens at each, fit into its `opened`. */
export const scoresFit = (ids: number, logprobs: number): boolean =>
  ids * (logprobs + 2) * LOGPROB_BYTES <= MAX_FRAME_BYTES;

/** Confirmed ids from position `at` on; a hint of `source` had foretold the first `accepted` of them. */
export const tokensFrame = z.object({
  type: z.literal("tokens"),
  stream,
  at: position,
  ids: z
    .array(tokenId)
    .min(1)
    .max(MAX_HINT_IDS + 1),
  accepted: z.int().min(0).max(MAX_HINT_IDS),
  source: hintSource.optional(),
  logprobs: z.array(logprobEntry).optional(),
});
export type TokensFrame = z.infer<typeof tokensFrame>;

/** Per source, by position in the block: index 0 counts the first hinted id after the committed text. */
const countsBySource = z.partialRecord(hintSource, z.array(z.int().min(0)).max(MAX_HINT_IDS));

export const doneFrame = z.object({
  type: z.literal("done"),
  stream,
  reason: z.enum(["stop", "length", "cancelled"]),
  counts: z.object({
    steps: z.int().min(0),
    drafted: countsBySource,
    accepted: countsBySource,
  }),
  /**
   * Milliseconds by the verifier's clock. `trip_ms`: from sending `opened` to hearing `seen`; `trip_over_ms` instead
   * where that had not been heard by the end: the trip takes longer.
   */
  timings: z.object({
    queued_ms: z.number(),
    prefill_ms: z.number(),
    decode_ms: z.number(),
    trip_ms: z.number().min(0).optional(),
    trip_over_ms: z.number().min(0).optional(),
  }),
});
export type DoneFrame = z.infer<typeof doneFrame>;

export const ERROR_CODES = [
  "bad_frame",
  "unsupported_protocol",
  "unauthorized",
  "unknown_target",
  "tokenizer_mismatch",
  "numerics_mismatch",
  "invalid_request",
  "context_too_long",
  "overloaded",
  "lease_expired",
  "internal",
] as const;

export const errorFrame = z.object({
  type: z.literal("error"),
  /** 0 where the frame at fault named no stream. */
  stream: z.int().min(0).max(MAX_UINT32),
  code: z.enum(ERROR_CODES),
  message: z.string().max(1000),
  retryable: z.boolean(),
});
export type ErrorFrame = z.infer<typeof errorFrame>;

export const edgeFrame = z.discriminatedUnion("type", [openFrame, hintFrame, cancelFrame, seenFrame]);
export type EdgeFrame = z.infer<typeof edgeFrame>;
export const verifierFrame = z.discriminatedUnion("type", [openedFrame, tokensFrame, doneFrame, errorFrame]);
export type VerifierFrame = z.infer<typeof verifierFrame>;
