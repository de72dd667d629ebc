/**
 * Takes captured completions from the queue into the bucket: one object of gzipped NDJSON per day, subject and batch.
 *
 * A deletion writes a tombstone first and then deletes what it finds; here the tombstone is looked for before an object
 * is written and again afterwards, so that no order of the two leaves anything behind.
 */
import { hex } from "../../gpu-service/protocol/manifest.ts";
import { type TrafficLine, tombstoneKey, trafficKey } from "../../gpu-service/protocol/traffic.ts";
import { type TrafficMessage, trafficMessageSchema } from "./capture.ts";

export type TrafficStore = {
  bucket: R2Bucket;
  db: D1Database;
  /** What is captured on one day of UTC at most; what comes beyond is dropped. */
  dayBytes: number;
};
type Message = { body: unknown; ack(): void; retry(): void };
type Group = { day: string; subject: string; lines: TrafficLine[]; messages: Message[] };

/** Acknowledges what is stored or is not to be; the rest comes again. */
export async function storeTraffic(messages: readonly Message[], store: TrafficStore): Promise<void> {
  for (const group of groupsOf(messages)) {
    try {
      await storeGroup(group, store);
      for (const message of group.messages) message.ack();
    } catch (error) {
      warn("captured completions could not be stored yet", { error: String(error) });
      for (const message of group.messages) message.retry();
    }
  }
}

function groupsOf(messages: readonly Message[]): Group[] {
  const groups = new Map<string, Group>();
  for (const message of messages) {
    const parsed = trafficMessageSchema.safeParse(message.body);
    if (!parsed.success) {
      warn("a message of the traffic queue is not one", { error: parsed.error.issues[0]?.message });
      message.ack();
      continue;
    }
    const { subject, line }: TrafficMessage = parsed.data;
    const day = line.time.slice(0, 10);
    const group = groups.get(`${day}/${subject}`) ?? { day, subject, lines: [], messages: [] };
    group.lines.push(line);
    group.messages.push(message);
    groups.set(`${day}/${subject}`, group);
  }
  return [...groups.values()];
}

async function storeGroup({ day, subject, lines }: Group, { bucket, db, dayBytes }: TrafficStore) {
  const isDeleted = async () => (await bucket.head(tombstoneKey(subject))) !== null;
  if (await isDeleted()) return;
  const bytes = await gzip(lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
  if (!(await reserve(db, day, bytes.length, dayBytes))) {
    return warn("the day's traffic has reached its cap", { day, dropped: lines.length, cap: dayBytes });
  }
  const key = trafficKey(day, subject, await batchName(lines));
  const tokens = lines.reduce((sum, { output }) => sum + output.length, 0);
  await bucket.put(key, bytes, {
    httpMetadata: { contentType: "application/gzip" },
    customMetadata: { requests: String(lines.length), tokens: String(tokens) },
  });
  if (await isDeleted()) await bucket.delete(key);
}

/** False where the day's cap would be passed. What comes twice counts twice. */
async function reserve(db: D1Database, day: string, bytes: number, cap: number): Promise<boolean> {
  if (bytes > cap) return false;
  const query = `INSERT INTO traffic_days (day, bytes) VALUES (?1, ?2)
    ON CONFLICT (day) DO UPDATE SET bytes = bytes + ?2 WHERE bytes + ?2 <= ?3`;
  const { meta } = await db.prepare(query).bind(day, bytes, cap).run();
  return meta.changes > 0;
}

/** By the completions in it: the same batch, delivered twice, is the same object. */
async function batchName(lines: readonly TrafficLine[]): Promise<string> {
  const ids = lines.map(({ id }) => id).sort();
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(ids.join()));
  return hex(new Uint8Array(digest).subarray(0, 16));
}

async function gzip(text: string): Promise<Uint8Array> {
  const stream = new Blob([text]).stream().pipeThrough(new CompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

const warn = (message: string, facts: object): void =>
  console.warn(JSON.stringify({ level: "warn", message, ...facts }));
