/** What answers look like, for the OpenAPI document and for whoever checks an answer against it. */
import { z } from "zod";
import { HINT_SOURCES } from "../../gpu-service/protocol/frames.ts";

const count = z.int().min(0);
const finishReason = z.enum(["stop", "length"]);

const usage = z.strictObject({
  prompt_tokens: count,
  completion_tokens: count,
  total_tokens: count,
  completion_tokens_details: z
    .strictObject({ accepted_prediction_tokens: count, rejected_prediction_tokens: count })
    .optional(),
});

const bySource = z.partialRecord(z.enum(HINT_SOURCES), count);
export const detailsSchema = z.strictObject({
  seed: z.string(),
  release: z.string().nullable(),
  note: z.string().nullable(),
  steps: count.nullable(),
  drafted: bySource,
  accepted: bySource,
  accepted_lengths: z.array(count).nullable(),
  timings: z.record(z.string(), z.number()).nullable(),
});

const head = { id: z.string(), created: z.int(), model: z.string() };
/** One choice's, or a list of them in the order of `choices`. */
const outrider = z.union([detailsSchema, z.array(detailsSchema)]).optional();

const legacyLogprobs = z.strictObject({
  tokens: z.array(z.string()),
  token_logprobs: z.array(z.number().nullable()),
  top_logprobs: z.array(z.record(z.string(), z.number()).nullable()),
  text_offset: z.array(count),
});
export const completionAnswer = z.strictObject({
  ...head,
  object: z.literal("text_completion"),
  choices: z.array(
    z.strictObject({
      index: count,
      text: z.string(),
      logprobs: legacyLogprobs.nullable(),
      finish_reason: finishReason,
    }),
  ),
  usage,
  outrider,
});

const chatToken = { token: z.string(), logprob: z.number(), bytes: z.array(count).nullable() };
export const chatAnswer = z.strictObject({
  ...head,
  object: z.literal("chat.completion"),
  choices: z.array(
    z.strictObject({
      index: count,
      message: z.strictObject({ role: z.literal("assistant"), content: z.string(), refusal: z.null() }),
      logprobs: z
        .strictObject({
          content: z.array(
            z.strictObject({ ...chatToken, top_logprobs: z.array(z.strictObject(chatToken)) }),
          ),
          refusal: z.null(),
        })
        .nullable(),
      finish_reason: finishReason,
    }),
  ),
  usage,
  outrider,
});

export const modelSchema = z.strictObject({
  id: z.string(),
  object: z.literal("model"),
  created: z.int(),
  owned_by: z.string(),
});
export const modelWithDraft = modelSchema.extend({
  draft: z.strictObject({ release: z.string().nullable(), note: z.string().nullable() }),
});
export const modelList = z.strictObject({ object: z.literal("list"), data: z.array(modelSchema) });

export const healthAnswer = z.strictObject({ status: z.literal("ok") });

export const errorAnswer = z.strictObject({
  error: z.strictObject({
    message: z.string(),
    type: z.string(),
    param: z.string().nullable(),
    code: z.string().nullable(),
  }),
});
