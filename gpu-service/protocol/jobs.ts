/** The training service's jobs API: what a job is, how it is asked for, what it reports. */
import { z } from "zod";

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

export const newJobSchema = z.strictObject({
  /** Name of a recipe that the service ships. */
  recipe: z.string().regex(/^[a-z0-9][a-z0-9-]{0,63}$/),
  /** The release to make; made up from recipe and time when absent. */
  release: z
    .string()
    .regex(/^[a-z0-9][a-z0-9._-]{0,99}$/)
    .optional(),
  /** Publish the result and make it the channel's current release. */
  publish: z.boolean().default(true),
  /** Posting the same key again returns the first job. */
  idempotency_key: z.string().min(1).max(128).optional(),
});
export type NewJob = z.infer<typeof newJobSchema>;

export const jobSchema = z.object({
  id: z.string(),
  recipe: z.string(),
  release: z.string(),
  publish: z.boolean(),
  state: jobState,
  created: z.string(),
  started: z.string().nullable(),
  finished: z.string().nullable(),
  progress: progressSchema.nullable(),
  error: z.string().nullable(),
});
export type Job = z.infer<typeof jobSchema>;
export const jobListSchema = z.object({ data: z.array(jobSchema) });
