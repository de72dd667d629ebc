/**
 * Removes from the bucket what no channel needs: `npm run releases -- gc`.
 *
 * A release loses its manifest first: killed anywhere, what is left is a release that is whole, or none.
 */
import { draftObjectKey } from "../../protocol/manifest.ts";
import type { Bucket, StoredObject } from "./bucket.ts";
import type { Channels } from "./channels.ts";
import { parseEnvelope } from "./immutable.ts";

/** A publisher may still be at work on what has no manifest yet. */
const PARTIAL_AGE_MS = 86_400_000;

export type GarbageParts = { bucket: Bucket; channels: Channels };
export type GarbageOptions = {
  nowMs: number;
  /** Whole releases that no channel names are kept for so long. */
  keepMs: number;
  /** Only tells. */
  isDryRun: boolean;
};
export type Garbage = { id: string; why: string; bytes: number };

/** Throws PublishError where a channel cannot be read: nothing is removed then that it might name. */
export async function collectGarbage(parts: GarbageParts, options: GarbageOptions): Promise<Garbage[]> {
  const garbage: Garbage[] = [];
  for (const [id, objects] of await byRelease(parts.bucket)) {
    const why = await reasonToRemove(parts, id, objects, options);
    if (why === null) continue;
    garbage.push({ id, why, bytes: objects.reduce((sum, { bytes }) => sum + bytes, 0) });
    if (!options.isDryRun) await remove(parts.bucket, id, objects);
  }
  return garbage;
}

async function byRelease(bucket: Bucket): Promise<Map<string, StoredObject[]>> {
  const releases = new Map<string, StoredObject[]>();
  for (const object of await bucket.objects("drafts/")) {
    const id = /^drafts\/([^/]+)\//.exec(object.key)?.[1];
    if (id !== undefined) releases.set(id, [...(releases.get(id) ?? []), object]);
  }
  return releases;
}

/** Null: it stays. The channel is read for each anew: it may have moved meanwhile. */
async function reasonToRemove(
  { bucket, channels }: GarbageParts,
  id: string,
  objects: readonly StoredObject[],
  { nowMs, keepMs }: GarbageOptions,
): Promise<string | null> {
  const age = nowMs - Math.max(...objects.map(({ modifiedMs }) => modifiedMs));
  const isWhole = objects.some(({ key }) => key === draftObjectKey(id, "manifest.json"));
  if (!isWhole) return age > PARTIAL_AGE_MS ? "was never published whole" : null;
  if (age <= keepMs) return null;
  const target = await targetOf(bucket, id);
  if (target === null) return null;
  const record = await channels.read(target);
  const named = [record?.current, record?.canary, record?.previous].map((role) => role?.release);
  return named.includes(id) ? null : `is named by no channel and ${Math.floor(age / 86_400_000)} days old`;
}

/** As the manifest says, whoever signed it. Null where it says nothing: such a release is for people to look at. */
async function targetOf(bucket: Bucket, id: string): Promise<string | null> {
  const bytes = await bucket.read(draftObjectKey(id, "manifest.json"));
  const envelope = bytes && parseEnvelope(bytes);
  try {
    const payload: unknown = JSON.parse(envelope?.payload ?? "null");
    const target = typeof payload === "object" && payload && "target" in payload ? payload.target : null;
    return typeof target === "string" ? target : null;
  } catch {
    return null;
  }
}

async function remove(bucket: Bucket, id: string, objects: readonly StoredObject[]): Promise<void> {
  const manifest = draftObjectKey(id, "manifest.json");
  await bucket.remove(manifest);
  for (const { key } of objects) if (key !== manifest) await bucket.remove(key);
}
