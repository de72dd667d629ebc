/** What of captured traffic there is, and how it goes: by key when its owner asks, by age in any case. */
import { parseTrafficKey, TRAFFIC_PREFIX, tombstoneKey } from "../../gpu-service/protocol/traffic.ts";
import type { Subjects } from "./subjects.ts";

export type Captured = {
  objects: number;
  requests: number;
  bytes: number;
  first_day: string;
  last_day: string;
};
/** Objects of one call: the most that R2 deletes at once. */
const PAGE = 1000;
const DAY_MS = 86_400_000;

/** By subject. */
export async function captured(bucket: R2Bucket): Promise<Map<string, Captured>> {
  const found = new Map<string, Captured>();
  for await (const objects of pages(bucket, TRAFFIC_PREFIX)) {
    for (const { key, size, customMetadata } of objects) {
      const { subject, day } = parseTrafficKey(key) ?? {};
      if (!subject || !day) continue;
      const sum = found.get(subject) ?? { objects: 0, requests: 0, bytes: 0, first_day: day, last_day: day };
      sum.objects++;
      sum.requests += Number(customMetadata?.requests ?? 0) || 0;
      sum.bytes += size;
      if (day > sum.last_day) sum.last_day = day;
      found.set(subject, sum);
    }
  }
  return found;
}

/**
 * Deletes what was captured of a key and lets it be captured no more. Null where there is no such key. What is
 * interrupted is completed by asking again: the key's subject is forgotten last.
 */
export async function deleteTraffic(
  key: string,
  bucket: R2Bucket,
  subjects: Subjects,
): Promise<{ key: string; subject: string | null; objects: number } | null> {
  if (!(await subjects.withdraw(key))) return null;
  const subject = await subjects.find(key);
  if (subject === null) return { key, subject, objects: 0 };
  // First, so that what is queued still is not stored any more.
  await bucket.put(tombstoneKey(subject), JSON.stringify({ deleted: new Date().toISOString() }));
  let objects = 0;
  for (const day of await days(bucket))
    objects += await deleteUnder(bucket, `${TRAFFIC_PREFIX}${day}/${subject}/`);
  await subjects.forget(key);
  return { key, subject, objects };
}

/** Deletes the days that lie more than `retentionDays` before `now`. */
export async function deleteOldTraffic(
  { bucket, db }: { bucket: R2Bucket; db: D1Database },
  now: number,
  retentionDays: number,
): Promise<void> {
  const oldest = new Date(now - retentionDays * DAY_MS).toISOString().slice(0, 10);
  for (const day of await days(bucket)) {
    if (day < oldest) await deleteUnder(bucket, `${TRAFFIC_PREFIX}${day}/`);
  }
  await db.prepare("DELETE FROM traffic_days WHERE day < ?").bind(oldest).run();
}

/** Days of UTC of which there is traffic. */
async function days(bucket: R2Bucket): Promise<string[]> {
  const found: string[] = [];
  let cursor: string | undefined;
  do {
    const page = await bucket.list({ prefix: TRAFFIC_PREFIX, delimiter: "/", ...(cursor && { cursor }) });
    found.push(...page.delimitedPrefixes.map((prefix) => prefix.slice(TRAFFIC_PREFIX.length, -1)));
    cursor = page.truncated ? page.cursor : undefined;
  } while (cursor);
  return found;
}

async function deleteUnder(bucket: R2Bucket, prefix: string): Promise<number> {
  let count = 0;
  for await (const objects of pages(bucket, prefix)) {
    count += objects.length;
    if (objects.length > 0) await bucket.delete(objects.map(({ key }) => key));
  }
  return count;
}

async function* pages(bucket: R2Bucket, prefix: string): AsyncGenerator<R2Object[], void> {
  let cursor: string | undefined;
  do {
    const page = await bucket.list({
      prefix,
      limit: PAGE,
      include: ["customMetadata"],
      ...(cursor !== undefined && { cursor }),
    });
    yield page.objects;
    cursor = page.truncated ? page.cursor : undefined;
  } while (cursor !== undefined);
}
