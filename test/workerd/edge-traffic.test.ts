/** Statistics of all completions, and captured traffic of the keys that agreed: from the request to the bucket and out of it. */
import { createExecutionContext, createMessageBatch, getQueueResult } from "cloudflare:test";
import { afterEach, beforeAll, beforeEach, expect, it, vi } from "vitest";
import { storeTraffic } from "../../edge/traffic/store.ts";
import worker from "../../edge/worker.ts";
import { type Statistics, statisticsSchema } from "../../gpu-service/protocol/statistics.ts";
import {
  parseTrafficKey,
  TOMBSTONE_PREFIX,
  TRAFFIC_PREFIX,
  trafficKey,
  trafficLineSchema,
} from "../../gpu-service/protocol/traffic.ts";
import { ScriptedVerifier } from "../support/scripted-verifier.ts";
import {
  ADMIN_SECRET,
  call,
  env,
  eventually,
  migrate,
  newKey,
  publishTarget,
  routeLinksTo,
  TARGET,
} from "./support.ts";

type Body = { subject: string; line: { id: string; output: number[] } & Record<string, unknown> };
let now = Date.parse("2026-11-24T12:00:00Z");
let queued: Body[] = [];
let verifier: ScriptedVerifier;

beforeAll(async () => {
  await migrate();
  await publishTarget();
  // The real queue would deliver on its own, at its own time.
  const send = async (body: Body) => {
    queued.push(body);
  };
  Object.assign(env, { TRAFFIC: { send } });
});
beforeEach(() => {
  queued = [];
  // Repeats after four tokens: lookup drafts it.
  verifier = new ScriptedVerifier({ next: (text) => text.length % 4, stepMs: 2 });
  routeLinksTo(verifier);
  // What the test before had remembered of keys and subjects is old.
  now += 120_000;
  vi.spyOn(Date, "now").mockImplementation(() => now);
});
afterEach(async () => {
  vi.restoreAllMocks();
  const { objects } = await env.RELEASES.list({ prefix: "traffic" });
  for (const { key } of objects) await env.RELEASES.delete(key);
});

const complete = async (key: string, headers: Record<string, string> = {}, fields: object = {}) => {
  const body = { model: TARGET, prompt: [1, 2, 3], max_tokens: 40, temperature: 0, ...fields };
  const response = await call("/v1/completions", { key, headers, body });
  expect(response.status).toBe(200);
  return (await response.json()) as {
    outrider: { drafted: Record<string, number>; accepted: Record<string, number> };
  };
};
const admin = (path: string, method = "GET") => call(`/admin${path}`, { key: ADMIN_SECRET, method });
const keysUnder = async (prefix: string) =>
  (await env.RELEASES.list({ prefix })).objects.map(({ key }) => key);

/** Delivers what is queued, as the platform would. */
async function deliver(bodies: unknown[] = queued, changes: object = {}) {
  const messages = bodies.map((body, index) => ({
    id: String(index),
    timestamp: new Date(),
    attempts: 1,
    body,
  }));
  const batch = createMessageBatch("outrider-traffic", messages);
  const context = createExecutionContext();
  await worker.queue(batch, { ...env, ...changes });
  return getQueueResult(batch, context);
}

async function linesOf(key: string) {
  const object = await env.RELEASES.get(key);
  const text = await new Response(object!.body.pipeThrough(new DecompressionStream("gzip"))).text();
  return text
    .trimEnd()
    .split("\n")
    .map((line) => trafficLineSchema.parse(JSON.parse(line)));
}

it("counts every completion's drafts, whether or not its client asks for details or stays", async () => {
  const { key } = await newKey();
  const read = async (): Promise<Statistics> => {
    const since = encodeURIComponent("2026-11-24T00:00:00+00:00");
    return statisticsSchema.parse(await (await admin(`/statistics/${TARGET}?since=${since}`)).json());
  };
  const served = async (requests: number) => {
    const found = await read();
    expect(found.served).toEqual([{ release: null, arm: "current", requests }]);
    return found;
  };
  const told: Record<string, number[]> = {};
  for (let n = 0; n < 3; n++) {
    const { outrider } = await complete(key, { "x-outrider-details": "1" });
    for (const [source, count] of Object.entries(outrider.drafted)) {
      const sums = told[source] ?? [0, 0, 0, 0];
      const accepted = outrider.accepted[source] ?? 0;
      told[source] = [sums[0]! + 1, sums[1]! + count, sums[2]! + accepted, sums[3]! + count * accepted];
    }
  }
  const { data } = await eventually(() => served(3));
  const counted = data.map((row) => [row.source, [row.requests, row.drafted, row.accepted, row.products]]);
  expect(Object.fromEntries(counted)).toEqual(told);
  expect(told).toHaveProperty("lookup");
  await complete(key);
  const left = new AbortController();
  const response = await call("/v1/completions", {
    key,
    body: { model: TARGET, prompt: [1, 2, 3], max_tokens: 400, stream: true },
    signal: left.signal,
  });
  await response.body!.getReader().read();
  left.abort();
  await eventually(() => served(5));
});

it("counts a batch of statistics once, however often it comes, and from the minute that is asked for", async () => {
  const object = env.STATISTICS.getByName("other-target");
  const served = [{ release: "one", arm: "canary" as const, requests: 5 }];
  const batch = { id: crypto.randomUUID(), acceptance: [], served };
  await object.add(batch);
  await object.add(batch);
  await object.add({ ...batch, id: crypto.randomUUID() });
  const at = async (since: string) => (await object.read(since)).served;
  expect(await at("2026-01-01T00:00:00Z")).toEqual([{ release: "one", arm: "canary", requests: 10 }]);
  expect(await at("2100-01-01T00:00:00Z")).toEqual([]);
  expect((await object.read("2026-01-01T00:00:59Z")).since).toBe("2026-01-01T00:00:00.000Z");
  expect((await admin("/statistics/other-target?since=yesterday")).status).toBe(400);
  expect((await call("/admin/statistics/other-target")).status).toBe(401);
});

it("captures the keys that agreed only, and nothing that is not to be stored", async () => {
  const agreed = await newKey("agreed", { capture: true });
  const { key: other } = await newKey("other");
  await complete(other);
  await complete(agreed.key, { "cache-control": "no-store" });
  await complete(agreed.key, { "x-outrider-details": "1" }, { seed: 7 });
  await eventually(() => expect(queued).toHaveLength(1));
  const [{ subject, line }] = queued as [Body];
  expect(subject).toMatch(/^[0-9a-f]{32}$/);
  expect(line).toMatchObject({
    ...{ release: null, target: TARGET, prompt: [1, 2, 3] },
    sampling: { temperature: 0, seed: "7" },
    drafted: { lookup: expect.any(Number) },
  });
  expect(line.output).toHaveLength(40);
  const text = JSON.stringify(queued);
  for (const secret of [agreed.id, agreed.key, "agreed"]) expect(text).not.toContain(secret);
});

it("stores one object per day, subject and batch, that the trainer can read", async () => {
  const agreed = await newKey("agreed", { capture: true });
  for (let n = 0; n < 3; n++) await complete(agreed.key);
  await eventually(() => expect(queued).toHaveLength(3));
  const result = await deliver();
  expect(result.explicitAcks).toHaveLength(3);
  const [key, ...more] = await keysUnder(TRAFFIC_PREFIX);
  expect(more).toEqual([]);
  expect(parseTrafficKey(key!)).toMatchObject({ subject: queued[0]!.subject });
  expect(await linesOf(key!)).toEqual(queued.map(({ line }) => line));
  const { customMetadata } = (await env.RELEASES.head(key!))!;
  expect(customMetadata).toEqual({ requests: "3", tokens: "120" });
  // Delivered twice, it is the same object.
  await deliver();
  expect(await keysUnder(TRAFFIC_PREFIX)).toEqual([key]);
  const { data } = (await (await admin("/traffic")).json()) as { data: object[] };
  expect(data).toContainEqual(expect.objectContaining({ key: agreed.id, objects: 1, requests: 3 }));
});

it("lets a queue or a bucket that fails harm no completion", async () => {
  const warnings = vi.spyOn(console, "warn").mockImplementation(() => undefined);
  const { TRAFFIC: working } = env;
  Object.assign(env, { TRAFFIC: { send: () => Promise.reject(new Error("queue is down")) } });
  const { key } = await newKey("agreed", { capture: true });
  await complete(key);
  await eventually(() => expect(warnings.mock.calls.join()).toContain("queue is down"));
  Object.assign(env, { TRAFFIC: working });
  await complete(key);
  await eventually(() => expect(queued).toHaveLength(1));
  const broken = { put: () => Promise.reject(new Error("no bucket")), head: async () => null };
  const result = await deliver(queued, { RELEASES: broken });
  expect(result.explicitAcks).toEqual([]);
  expect(result.retryMessages).toHaveLength(1);
  expect((await deliver()).explicitAcks).toHaveLength(1);
});

it("drops messages that are none, and what is beyond the day's cap", async () => {
  const warnings = vi.spyOn(console, "warn").mockImplementation(() => undefined);
  const { key } = await newKey("agreed", { capture: true });
  await complete(key);
  await eventually(() => expect(queued).toHaveLength(1));
  const line = { ...queued[0]!.line, time: "2026-12-24T00:00:00Z" };
  const message = { subject: queued[0]!.subject, line };
  const acknowledged: number[] = [];
  const taken = [{ no: "message" }, message].map((body, index) => ({
    body,
    ack: () => acknowledged.push(index),
    retry: () => expect.unreachable(),
  }));
  await storeTraffic(taken, { bucket: env.RELEASES, db: env.DB, dayBytes: 100 });
  expect(acknowledged).toEqual([0, 1]);
  expect(await keysUnder(TRAFFIC_PREFIX)).toEqual([]);
  expect(warnings.mock.calls.join()).toMatch(/is not one.*reached its cap/s);
});

it("deletes by key what is queued, stored and remembered, and captures no more of it", async () => {
  const agreed = await newKey("agreed", { capture: true });
  const other = await newKey("other", { capture: true });
  await complete(other.key);
  await complete(agreed.key);
  await eventually(() => expect(queued).toHaveLength(2));
  await deliver();
  await complete(agreed.key);
  await eventually(() => expect(queued).toHaveLength(3));
  const late = queued.slice(2);
  const { subject } = late[0]!;
  expect(await keysUnder(TRAFFIC_PREFIX)).toHaveLength(2);

  const response = await admin(`/traffic/${agreed.id}`, "DELETE");
  expect(await response.json()).toEqual({ key: agreed.id, subject, objects: 1 });
  expect(await keysUnder(TOMBSTONE_PREFIX)).toEqual([`${TOMBSTONE_PREFIX}${subject}`]);
  expect((await deliver(late)).explicitAcks).toHaveLength(1);
  const [kept, ...more] = await keysUnder(TRAFFIC_PREFIX);
  expect([kept!.includes(subject), more]).toEqual([false, []]);

  // Asking again, also after an interruption, is fine; a key that never was is not found.
  expect(await (await admin(`/traffic/${agreed.id}`, "DELETE")).json()).toMatchObject({ objects: 0 });
  expect((await admin("/traffic/key_none", "DELETE")).status).toBe(404);

  // The isolate remembers keys for half a minute.
  now += 31_000;
  const { outrider } = await complete(agreed.key, { "x-outrider-details": "1" });
  expect(outrider.drafted).not.toHaveProperty("memory");
  const again = await complete(other.key, { "x-outrider-details": "1" });
  expect(again.outrider.drafted).toHaveProperty("memory");
  await eventually(() => expect(queued).toHaveLength(4));
  expect(queued[3]!.subject).not.toBe(subject);
});

it("leaves nothing of a batch that is written while its subject is deleted", async () => {
  const { key, id } = await newKey("agreed", { capture: true });
  await complete(key);
  await eventually(() => expect(queued).toHaveLength(1));
  const bucket = new Proxy(env.RELEASES, {
    get(target, name) {
      if (name !== "put") return (target[name as keyof R2Bucket] as () => unknown).bind(target);
      return async (...put: Parameters<R2Bucket["put"]>) => {
        if (put[0].startsWith(TRAFFIC_PREFIX))
          expect((await admin(`/traffic/${id}`, "DELETE")).status).toBe(200);
        return target.put(...put);
      };
    },
  });
  await deliver(queued, { RELEASES: bucket });
  expect(await keysUnder(TRAFFIC_PREFIX)).toEqual([]);
});

it("deletes traffic of a certain age by the clock", async () => {
  const subject = "0".repeat(32);
  const days = ["2026-10-24", "2026-10-25", "2026-11-24"];
  for (const day of days) await env.RELEASES.put(trafficKey(day, subject, "00"), "x");
  const tick = { scheduledTime: Date.parse("2026-11-24T03:00:00Z"), cron: "*/15 * * * *", noRetry() {} };
  await worker.scheduled(tick as ScheduledController, { ...env, TRAFFIC_RETENTION_DAYS: "30" });
  expect(await keysUnder(TRAFFIC_PREFIX)).toEqual(days.slice(1).map((day) => trafficKey(day, subject, "00")));
});
