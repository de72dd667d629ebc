/**
 * Fields of OpenAI's API that need nothing of this service: some change nothing about the text and are ignored, the
 * others would change it and are taken only with a value that asks for nothing. Whatever is not listed is refused.
 */
import { z } from "zod";

const ignored = z
  .unknown()
  .optional()
  .meta({ description: "Ignored: it changes nothing about the text of this service." });

export const ignoredFields = {
  user: ignored,
  metadata: ignored,
  store: ignored,
  service_tier: ignored,
  safety_identifier: ignored,
  prompt_cache_key: ignored,
  prompt_cache_retention: ignored,
};

const neutral = { description: "Not supported: only a value that asks for nothing." };
const emptyList = z.array(z.unknown()).max(0).nullish().meta(neutral);
const noChoice = z.enum(["none", "auto"]).nullish().meta(neutral);
const nothing = z.null().optional().meta(neutral);

export const neutralFields = {
  tools: emptyList,
  functions: emptyList,
  tool_choice: noChoice,
  function_call: noChoice,
  parallel_tool_calls: z.boolean().nullish(),
  response_format: z
    .strictObject({ type: z.literal("text") })
    .nullish()
    .meta(neutral),
  modalities: z.array(z.literal("text")).nullish().meta(neutral),
  reasoning_effort: z.literal("none").nullish().meta(neutral),
  audio: nothing,
  verbosity: nothing,
  web_search_options: nothing,
};

export const isNeutralField = (name: string): boolean => Object.hasOwn(neutralFields, name);
