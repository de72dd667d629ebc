/** The dials of the chain that retrains, as the worker's variable RETRAINING (JSON) sets them; times in seconds. */
import { z } from "zod";

const HOUR_S = 3_600;
const seconds = z
  .number()
  .positive()
  .max(30 * 24 * HOUR_S);

export const settingsSchema = z
  .strictObject({
    /** Captured requests without which there is nothing to learn. */
    min_traffic: z.int().min(0).default(1_000),
    /** The canary's share of requests. */
    share: z.number().gt(0).lt(1).default(0.1),
    /** Requests of each release at the first look; each further look needs twice those of the one before. */
    min_requests: z.int().min(30).default(200),
    looks: z.int().min(1).max(10).default(4),
    /** Chance, over all looks together, of calling equals different. */
    significance: z.number().gt(0).max(0.5).default(0.05),
    /** How long the training service's word is waited for before the job is asked about again and again. */
    event_timeout_s: seconds.default(24 * HOUR_S),
    /** Between two questions about a job, or two looks at a canary. */
    poll_s: seconds.default(600),
    /** After which a job that has not ended, or a canary that is not judged, is given up. */
    training_limit_s: seconds.default(48 * HOUR_S),
    canary_limit_s: seconds.default(24 * HOUR_S),
  })
  .transform((dials) => ({
    minTraffic: dials.min_traffic,
    share: dials.share,
    trial: {
      minRequests: dials.min_requests,
      looks: dials.looks,
      significance: dials.significance,
    },
    eventTimeoutMs: dials.event_timeout_s * 1_000,
    pollMs: dials.poll_s * 1_000,
    trainingLimitMs: dials.training_limit_s * 1_000,
    canaryLimitMs: dials.canary_limit_s * 1_000,
  }));
export type ChainSettings = z.output<typeof settingsSchema>;
export const DEFAULT_SETTINGS: ChainSettings = settingsSchema.parse({});
