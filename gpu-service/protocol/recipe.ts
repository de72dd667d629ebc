/** A recipe's shape: which stages, in which order, with which dials. What a stage's dials are, the service knows. */
import { z } from "zod";

const MOST_STAGES = 64;
const MOST_VALUES = 256;

export const recipeName = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,63}$/, "a recipe's name is lower-case letters, digits and '-'");
export const seedSchema = z
  .int()
  .min(0)
  .max(2 ** 32 - 1);

const valueSchema = z.union([z.number(), z.string().max(512)]);
/** What a dial is set to. */
export const dialSchema = z.union([valueSchema, z.array(valueSchema).min(1).max(MOST_VALUES)]);
export type Dial = z.infer<typeof dialSchema>;

/** Id of a model: the name of a folder, never a path. */
export const modelId = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/, "not the id of a model");

export const recipeSchema = z.strictObject({
  name: recipeName,
  target: modelId.nullable(),
  /** A model to begin with. */
  base: modelId.optional(),
  seed: seedSchema,
  stages: z
    .array(z.object({ stage: z.string().max(64) }).catchall(dialSchema))
    .min(1)
    .max(MOST_STAGES),
});
export type Recipe = z.infer<typeof recipeSchema>;
