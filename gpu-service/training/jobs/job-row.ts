/** A job as it lies in the database. */
import { z } from "zod";
import {
  gateSchema,
  type Job,
  jobState,
  overridesSchema,
  PUBLISH,
  progressSchema,
  trafficSpanSchema,
} from "../../protocol/jobs.ts";
import { recipeSchema } from "../../protocol/recipe.ts";

const flag = z.number().transform((n) => n === 1);
const json = <T extends z.ZodType>(schema: T) =>
  z
    .string()
    .nullable()
    .transform((text): z.output<T> | null => (text === null ? null : schema.parse(JSON.parse(text))));

export const jobRowSchema = z.object({
  id: z.string(),
  recipe: z.string(),
  /** As it runs. Null for a job of a version that kept the name only. */
  recipe_json: json(recipeSchema),
  overrides: json(overridesSchema),
  traffic: json(trafficSpanSchema),
  parent: z.string().nullable(),
  release: z.string(),
  publish: z.enum(PUBLISH),
  state: jobState,
  created: z.string(),
  started: z.string().nullable(),
  finished: z.string().nullable(),
  progress: json(progressSchema),
  gates: json(z.array(gateSchema)),
  error: z.string().nullable(),
  owner: z.string().nullable(),
  process: z.string().nullable(),
  /** In which it got no further than the one before. */
  attempts: z.number(),
  lost_at: z.number(),
  cancel_requested: flag,
});
/** A job with what only the runner needs to know. `owner` and `process` are identities of processes. */
export type StoredJob = z.infer<typeof jobRowSchema>;

/** What the API shows of it. */
export function publicView(row: StoredJob): Job {
  const { owner: _owner, process: _process, attempts: _attempts, cancel_requested: _cancel, ...rest } = row;
  const { recipe_json: _recipe, lost_at: _lost, ...job } = rest;
  return job;
}
