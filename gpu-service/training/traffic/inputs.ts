/**
 * What a job learns from besides its recipe: captured traffic and the release to go on from, copied out of the bucket.
 *
 * Copies lie in the job's work folder and go with it. Traffic of a subject that was deleted meanwhile is found by
 * its tombstone: what was made of it is made anew without it.
 */
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { TrafficSpan } from "../../protocol/jobs.ts";
import { parseTrafficKey, TOMBSTONE_PREFIX, TRAFFIC_PREFIX } from "../../protocol/traffic.ts";
import { linesOf, packed } from "./batch.ts";

/** The bucket, as far as copying goes. */
export type Source = {
  list(prefix: string): Promise<string[]>;
  read(key: string): Promise<Uint8Array | null>;
};
export type ParentFiles = { "model.draft": Uint8Array; "tokenizer.json": Uint8Array };
export type InputsParts = {
  bucket: Source;
  /** A release's files, its signature and digests checked. */
  release(id: string): Promise<{ target: string; files: ParentFiles }>;
  say(line: string): void;
};
export type InputsWish = { target: string; traffic: TrafficSpan | null; parent: string | null };
/** Folders, where the job has them; the parent's is named by its id. */
export type Inputs = { traffic?: string; parent?: string };

const DAY_MS = 86_400_000;
const DONE = "complete";

/** Copies what is wanted into `folder`; what a call before has copied whole is left as it is. */
export async function fetchInputs(parts: InputsParts, wish: InputsWish, folder: string): Promise<Inputs> {
  const inputs: Inputs = {};
  if (wish.traffic) inputs.traffic = await fetchTraffic(parts, wish.target, wish.traffic, folder);
  if (wish.parent !== null) inputs.parent = await fetchParent(parts, wish.target, wish.parent, folder);
  return inputs;
}

/** Whether the folder holds traffic of somebody who has had it deleted since. */
export async function holdsDeleted(bucket: Source, folder: string): Promise<boolean> {
  const traffic = join(folder, "traffic");
  if (!existsSync(traffic)) return false;
  const deleted = await deletedSubjects(bucket);
  return readdirSync(traffic).some((subject) => deleted.has(subject));
}

async function fetchTraffic(
  { bucket, say }: InputsParts,
  target: string,
  span: TrafficSpan,
  folder: string,
): Promise<string> {
  const traffic = join(folder, "traffic");
  const done = join(folder, DONE);
  if (existsSync(done)) return traffic;
  const deleted = await deletedSubjects(bucket);
  let lines = 0;
  mkdirSync(traffic, { recursive: true });
  for (const prefix of dayPrefixes(span)) {
    for (const key of await bucket.list(prefix)) {
      const batch = parseTrafficKey(key);
      if (!batch || deleted.has(batch.subject)) continue;
      const found = await bucket.read(key);
      // Deleted since it was listed.
      if (!found) continue;
      const read = linesOf(found, (line) => isWanted(line, target, span));
      if (read === null) {
        say(`${key} is no batch of traffic: left out`);
        continue;
      }
      if (read.length === 0) continue;
      mkdirSync(join(traffic, batch.subject), { recursive: true });
      writeFileSync(join(traffic, batch.subject, `${batch.day}-${batch.batch}.ndjson.gz`), packed(read));
      lines += read.length;
    }
  }
  writeFileSync(done, "");
  say(`${lines} captured requests of ${span.since} to ${span.until}`);
  return traffic;
}

const isWanted = (line: { target: string; time: string }, target: string, span: TrafficSpan): boolean =>
  line.target === target &&
  Date.parse(line.time) >= Date.parse(span.since) &&
  Date.parse(line.time) < Date.parse(span.until);

/** A request of the evening may lie in a batch of the day after. */
function dayPrefixes({ since, until }: TrafficSpan): string[] {
  const prefixes = [];
  for (let day = Math.floor(Date.parse(since) / DAY_MS); day * DAY_MS <= Date.parse(until) + DAY_MS; day++)
    prefixes.push(`${TRAFFIC_PREFIX}${new Date(day * DAY_MS).toISOString().slice(0, 10)}/`);
  return prefixes;
}

async function deletedSubjects(bucket: Source): Promise<Set<string>> {
  return new Set((await bucket.list(TOMBSTONE_PREFIX)).map((key) => key.slice(TOMBSTONE_PREFIX.length)));
}

async function fetchParent(
  { release, say }: InputsParts,
  target: string,
  id: string,
  folder: string,
): Promise<string> {
  const parent = join(folder, "parent", id);
  const manifest = join(parent, DONE);
  if (existsSync(manifest)) return parent;
  const found = await release(id);
  if (found.target !== target) throw new Error(`parent ${id}: drafts for ${found.target}, not for ${target}`);
  mkdirSync(parent, { recursive: true });
  for (const [name, bytes] of Object.entries(found.files)) writeFileSync(join(parent, name), bytes);
  writeFileSync(manifest, "");
  say(`begins with release ${id}`);
  return parent;
}
