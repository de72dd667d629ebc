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
    if (!options.isDryRun && !(await remove(parts, id, objects))) continue;
    garbage.push({ id, why, bytes: objects.reduce((sum, { bytes }) => sum + bytes, 0) });
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
  const manifest = await bucket.read(draftObjectKey(id, "manifest.json"));
  const target = manifest && targetOf(manifest);
  if (target === null || (await isNamed(channels, target, id))) return null;
  return `is named by no channel and ${Math.floor(age / 86_400_000)} days old`;
}

async function isNamed(channels: Channels, target: string, id: string): Promise<boolean> {
  const record = await channels.read(target);
  return [record?.current, record?.canary, record?.previous].some((role) => role?.release === id);
}

/** As the manifest says, whoever signed it. Null where it says nothing: such a release is for people to look at. */
function targetOf(manifest: Uint8Array): string | null {
  const envelope = parseEnvelope(manifest);
  try {
    const payload: unknown = JSON.parse(envelope?.payload ?? "null");
    const target = typeof payload === "object" && payload && "target" in payload ? payload.target : null;
    return typeof target === "string" ? target : null;
  } catch {
    return null;
  }
}

/**
 * False where a channel has come to name the release meanwhile: it is whole again then. Whoever moves a channel looks
 * for the manifest afterwards (`Channels`), so one of the two sees what the other does.
 */
async function remove(
  { bucket, channels }: GarbageParts,
  id: string,
  objects: readonly StoredObject[],
): Promise<boolean> {
  const key = draftObjectKey(id, "manifest.json");
  const manifest = await bucket.read(key);
  await bucket.remove(key);
  const target = manifest && targetOf(manifest);
  if (manifest && target !== null && (await isNamed(channels, target, id))) {
    await bucket.create(key, manifest);
    return false;
  }
  for (const object of objects) if (object.key !== key) await bucket.remove(object.key);
  return true;
}
