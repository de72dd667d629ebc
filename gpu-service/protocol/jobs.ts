/** The training service's jobs API: what a job is, how it is asked for, what it reports. */
import { z } from "zod";
import { releaseId } from "./manifest.ts";
import { dialSchema, recipeName, recipeSchema, seedSchema } from "./recipe.ts";

export const JOB_STATES = ["queued", "running", "succeeded", "failed", "cancelled"] as const;
export const jobState = z.enum(JOB_STATES);
export type JobState = z.infer<typeof jobState>;
export const isFinished = (state: JobState): boolean => state !== "queued" && state !== "running";

/** One line of progress from a stage. `loss` in nats per token; `eta_s` in seconds. */
export const progressSchema = z.object({
  stage: z.string(),
  step: z.int().min(0),
  steps: z.int().min(0),
  tokens: z.number().min(0).optional(),
  loss: z.number().nullish(),
  tok_s: z.number().nullish(),
  eta_s: z.number().nullish(),
});
export type Progress = z.infer<typeof progressSchema>;

export const PUBLISH = ["no", "canary", "channel"] as const;
/**
 * What becomes of a release that has passed the gates: `canary` uploads it and leaves the channel to whoever posted
 * the job, `channel` makes it current too. true and false are read as `channel` and `no`.
 */
const publishSchema = z
  .union([z.enum(PUBLISH), z.boolean()])
  .transform((wish) => (typeof wish === "string" ? wish : wish ? "channel" : "no"));

/** Dials that replace the recipe's, by stage: `distil`, or `generate:2` for the second of its name. */
export const overridesSchema = z.strictObject({
  seed: seedSchema.optional(),
  stages: z.record(z.string().regex(/^[a-z]+(:[1-9]\d?)?$/), z.record(z.string(), dialSchema)).optional(),
});
export type Overrides = z.infer<typeof overridesSchema>;

/** Captured traffic to learn from: of requests from `since` on, before `until`. */
export const trafficSpanSchema = z.strictObject({ since: z.iso.datetime(), until: z.iso.datetime() });
export type TrafficSpan = z.infer<typeof trafficSpanSchema>;

export const newJobSchema = z.strictObject({
  /** Name of a recipe that the service has, or a recipe. */
  recipe: z.union([recipeName, recipeSchema]),
  overrides: overridesSchema.nullable().default(null),
  traffic: trafficSpanSchema.nullable().default(null),
  /** The release to go on from. */
  parent: releaseId.nullable().default(null),
  /** The release to make; made up from recipe and time when absent. */
  release: releaseId.optional(),
  publish: publishSchema.default("channel"),
  /** Posting the same key again returns the first job. */
  idempotency_key: z.string().min(1).max(128).optional(),
});
/** As it is posted. */
export type NewJob = z.input<typeof newJobSchema>;
/** As it was read: every absent field filled in. */
export type JobOrder = z.output<typeof newJobSchema>;

/** What one gate found of a candidate. `figures` by name, as far as it measured any. */
export const gateSchema = z.object({
  gate: z.string(),
  passed: z.boolean(),
  message: z.string(),
  figures: z.record(z.string(), z.number()),
});
export type Gate = z.infer<typeof gateSchema>;

export const jobSchema = z.object({
  id: z.string(),
  /** The recipe's name. */
  recipe: z.string(),
  overrides: overridesSchema.nullable(),
  traffic: trafficSpanSchema.nullable(),
  parent: z.string().nullable(),
  release: z.string(),
  publish: z.enum(PUBLISH),
  state: jobState,
  created: z.string(),
  started: z.string().nullable(),
  finished: z.string().nullable(),
  progress: progressSchema.nullable(),
  /** What the gates said; null before they were asked, and where nothing was to be published. */
  gates: z.array(gateSchema).nullable(),
  error: z.string().nullable(),
});
export type Job = z.infer<typeof jobSchema>;
export const jobListSchema = z.object({ data: z.array(jobSchema) });
