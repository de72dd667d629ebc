/** OpenAI's `prediction`: what the client expects the output to be, a source of drafts and nothing more. */
import { z } from "zod";
import { MAX_PROMPT_IDS } from "../../gpu-service/protocol/frames.ts";
import type { TargetText } from "../text/target-text.ts";
import { invalidRequest } from "./errors.ts";

const MAX_PARTS = 256;

const part = z.strictObject({
  type: z.literal("text", { error: "only text parts are supported" }),
  text: z.string(),
});

export const predictionField = z
  .strictObject({
    type: z.literal("content", { error: 'must be "content"' }),
    content: z.union([z.string(), z.array(part).min(1).max(MAX_PARTS)], {
      error: "must be a string or a list of text parts",
    }),
  })
  .nullish();
export type PredictionField = z.infer<typeof predictionField>;

/** The predicted ids; undefined for none. Throws an ApiError for a text that no output can have. */
export function predictionIds(prediction: PredictionField, text: TargetText): number[] | undefined {
  if (!prediction) return undefined;
  const { content } = prediction;
  const whole = typeof content === "string" ? content : content.map((one) => one.text).join("");
  if (whole.length > text.mostCharacters) {
    const message = `prediction: has ${whole.length} characters; the model's context holds ${text.mostCharacters} at most`;
    throw invalidRequest(message, "prediction");
  }
  const ids = text.encode(whole, false).slice(0, MAX_PROMPT_IDS);
  return ids.length > 0 ? ids : undefined;
}
