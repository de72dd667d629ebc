/**
 * Captured traffic: what the edge keeps in the bucket of requests whose keys' owners have agreed to it, and what the
 * trainer reads. Token ids only, under a random subject that stands for the key; no key, no name, no address.
 *
 * One object per subject and batch: gzip of NDJSON, a line per completion. A batch that was delivered twice may be
 * stored twice: lines of one `id` are the same line.
 */
import { z } from "zod";
import { HINT_SOURCES, MAX_PROMPT_IDS, MAX_TOKEN_ID, samplingSchema } from "./frames.ts";
import { releaseId } from "./manifest.ts";

export const TRAFFIC_PREFIX = "traffic/";
/** An object under it, named by a subject, says that nothing of that subject may be kept or learnt from. */
export const TOMBSTONE_PREFIX = "traffic-deleted/";

export const subjectId = z.string().regex(/^[0-9a-f]{32}$/, "a subject is 32 hex digits");
const ids = z.array(z.int().min(0).max(MAX_TOKEN_ID)).max(MAX_PROMPT_IDS);
const tokensBySource = z.partialRecord(z.enum(HINT_SOURCES), z.int().min(0));

export const trafficLineSchema = z.object({
  /** Random; of this completion. */
  id: z.uuid(),
  time: z.iso.datetime(),
  /** The draft release that it began with; null: no model drafts. */
  release: releaseId.nullable(),
  target: z.string().min(1).max(128),
  prompt: ids,
  /** What the verifier confirmed, in order, an end id included. */
  output: ids,
  sampling: samplingSchema,
  /** Hinted tokens verified and confirmed, by source; null where the verifier's account did not arrive. */
  drafted: tokensBySource.nullable(),
  accepted: tokensBySource.nullable(),
});
export type TrafficLine = z.infer<typeof trafficLineSchema>;

/** `day`: YYYY-MM-DD, of UTC. `batch`: hex digits. */
export const trafficKey = (day: string, subject: string, batch: string): string =>
  `${TRAFFIC_PREFIX}${day}/${subject}/${batch}.ndjson.gz`;
const KEY = /^traffic\/(\d{4}-\d\d-\d\d)\/([0-9a-f]{32})\/([0-9a-f]+)\.ndjson\.gz$/;

/** Undefined for an object that is no batch of traffic. */
export function parseTrafficKey(key: string): { day: string; subject: string; batch: string } | undefined {
  const [, day, subject, batch] = KEY.exec(key) ?? [];
  return day && subject && batch ? { day, subject, batch } : undefined;
}

export const tombstoneKey = (subject: string): string => `${TOMBSTONE_PREFIX}${subject}`;
