/**
 * Acceptance of all completions, by release and source: `GET /admin/statistics/{target}`.
 *
 * Sums over completions of drafted tokens d and accepted ones a, and of their squares and products: what an estimator
 * of Σa/Σd needs whose independent unit is the completion, not the token.
 */
import { z } from "zod";
import { releaseId } from "./manifest.ts";

export const DRAFT_SOURCES = ["model", "lookup", "memory", "prediction"] as const;
export const draftSource = z.enum(DRAFT_SOURCES);

/** Which share of the requests a completion belongs to, by its request's id. */
export const armSchema = z.enum(["current", "canary"]);
export type Arm = z.infer<typeof armSchema>;

const sum = z.number().min(0);
/** Of the completions for which this source drafted something. `release`: what they began with; null: no model drafts. */
export const acceptanceRowSchema = z.object({
  release: releaseId.nullable(),
  source: draftSource,
  arm: armSchema,
  requests: z.int().min(0),
  drafted: sum,
  accepted: sum,
  /** Σd², Σa² and Σd·a. */
  drafted_squares: sum,
  accepted_squares: sum,
  products: sum,
});
export type AcceptanceRow = z.infer<typeof acceptanceRowSchema>;

/** All completions, also those that drafted nothing. Arm `canary` under the current release: the canary was not loaded. */
export const servedRowSchema = z.object({
  release: releaseId.nullable(),
  arm: armSchema,
  requests: z.int().min(0),
});
export type ServedRow = z.infer<typeof servedRowSchema>;

export const statisticsSchema = z.object({
  /** Counted from here on; whole minutes. */
  since: z.iso.datetime(),
  data: z.array(acceptanceRowSchema),
  served: z.array(servedRowSchema),
});
export type Statistics = z.infer<typeof statisticsSchema>;
