/** What an API key may do, how long and how much; and how that stands in the database. */
import { z } from "zod";
import { quotaSchema } from "./quota.ts";

export const SCOPES = ["completions", "admin"] as const;
export type Scope = (typeof SCOPES)[number];

export const termsSchema = z.strictObject({
  /** `completions`: to use the models. `admin`: to see releases and jobs; it opens nothing under /admin. */
  scopes: z.array(z.enum(SCOPES)).min(1).default(["completions"]),
  /** The key is refused from then on; null: never. */
  expires: z.iso.datetime({ offset: true }).nullable().default(null),
  /** Its owner has agreed that its texts are captured for training. */
  capture: z.boolean().default(false),
  quota: quotaSchema.nullable().default(null),
});
export type KeyTerms = z.output<typeof termsSchema>;

export const apiKeySchema = termsSchema.extend({
  id: z.string(),
  /** The first characters of the key, to recognise it by. */
  prefix: z.string(),
  name: z.string(),
  created: z.string(),
  revoked: z.string().nullable(),
  /** Under which what is kept of its texts is found; another one after that was deleted. */
  tenant: z.string(),
});
export type ApiKey = z.output<typeof apiKeySchema>;

export const rowOfTerms = ({ scopes, expires, capture, quota }: KeyTerms) => ({
  scopes: [...new Set(scopes)].join(" "),
  expires: expires === null ? null : new Date(expires).toISOString(),
  capture: capture ? 1 : 0,
  quota_tokens: quota?.tokens ?? null,
  quota_period: quota?.period ?? null,
});

/** Throws for a row that no version of this service wrote. */
export function keyOfRow(row: Record<string, unknown>): ApiKey {
  const { id, prefix, name, created, revoked, scopes, expires, capture, generation = 0 } = row;
  const { quota_tokens: tokens, quota_period: period } = row;
  return apiKeySchema.parse({
    ...{ id, prefix, name, created, revoked, expires },
    tenant: generation === 0 ? id : `${id}.${generation}`,
    scopes: String(scopes).split(" "),
    capture: capture === 1,
    quota: tokens === null ? null : { tokens, period },
  });
}
