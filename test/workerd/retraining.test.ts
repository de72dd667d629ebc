/// <reference types="@cloudflare/vitest-plugin/types" />
import { env as testEnv } from "cloudflare:test";
import { Hono } from "hono";
import { beforeEach, describe, expect, test } from "vitest";
import retraining from "../../edge/accounts/migrations/0007_retraining.sql?raw";
import { ChainStore } from "../../edge/retraining/chain-store.ts";
import { type RetrainingParts, retrainingRoutes } from "../../edge/retraining/routes.ts";
import { chainOf, onTick, RECONCILE_CRON } from "../../edge/retraining/schedule.ts";
import { countTraffic } from "../../edge/retraining/traffic-count.ts";
import { JOB_EVENT_SIGNATURE, signJobEvent } from "../../gpu-service/protocol/job-events.ts";
import type { Job, JobState } from "../../gpu-service/protocol/jobs.ts";

const { DB, RELEASES } = testEnv as unknown as { DB: D1Database; RELEASES: R2Bucket };
const TOKEN = "a training token of thirty-two bytes";
const NIGHTLY = "0 3 * * *";
const MORNING = Date.UTC(2026, 0, 1, 3);
const MINUTE_MS = 60_000;

beforeEach(async () => {
  await DB.exec("DROP TABLE IF EXISTS retraining_chains; DROP TABLE IF EXISTS retraining_audit");
  for (const statement of retraining.replaceAll(/--.*/g, "").split(";")) {
    if (statement.trim()) await DB.prepare(statement).run();
  }
});

/** The schedule with real storage; workflows and training service are scripted. */
function schedule() {
  const statuses = new Map<string, string>();
  const done: string[] = [];
  const logged: string[] = [];
  let clock = MORNING;
  let jobState: JobState = "running";
  let refusal: Error | undefined;
  const parts: RetrainingParts = {
    target: "tiny",
    recipe: "tiny-traffic",
    token: TOKEN,
    store: new ChainStore(DB, () => clock),
    instances: {
      create: async ({ id }) => {
        if (refusal) throw refusal;
        statuses.set(id, "waiting");
        done.push(`create ${id}`);
      },
      get: async (id) => {
        const status = statuses.get(id);
        if (status === undefined) throw new Error("instance.not_found");
        return {
          status: async () => ({ status }),
          sendEvent: async ({ type }) => void done.push(`${type} ${id}`),
        };
      },
    },
    job: async (id) => ({ id, state: jobState }) as Job,
    endCanary: async (_, release) => void done.push(`end canary ${release}`),
    newId: () => "by-hand-1",
    now: () => clock,
    log: ({ level, message }) => logged.push(`${level}: ${message}`),
  };
  return {
    parts,
    done,
    logged,
    statuses,
    store: parts.store,
    tick: (at = MORNING, cron = NIGHTLY) => {
      clock = Math.max(clock, at);
      return onTick({ cron, scheduledTime: at }, parts);
    },
    reconcile: (later: number) => {
      clock += later;
      return onTick({ cron: RECONCILE_CRON, scheduledTime: clock }, parts);
    },
    jobEnds: (state: JobState) => {
      jobState = state;
    },
    refuse: (error: Error | undefined) => {
      refusal = error;
    },
  };
}

const CHAIN = "2026-01-01T03-00-cron-0-3-x-x-x";

test("a tick begins one chain, however often it is delivered, and none beside another", async () => {
  const { tick, done, store } = schedule();
  await tick();
  await tick(MORNING + 41_500);
  await tick(MORNING + 60 * MINUTE_MS, "0 * * * *");
  expect(done.filter((what) => what.startsWith("create"))).toEqual([`create ${CHAIN}`]);
  await store.record(CHAIN, "skipped: too little", { state: "skipped", note: "too little" });
  await tick();
  expect(await store.open()).toEqual([]);
  await tick(MORNING + 24 * 60 * MINUTE_MS);
  expect((await store.newest(9)).map(({ state }) => state)).toEqual(["counting", "skipped"]);
});

test("an id is made of a schedule and its minute, in the signs that an instance may have", () => {
  expect(chainOf({ cron: "*/5 1,2 * * 2-3", scheduledTime: MORNING + 59_999 })).toMatch(
    /^[A-Za-z0-9_][\w-]{0,99}$/,
  );
  expect(chainOf({ cron: NIGHTLY, scheduledTime: MORNING + 59_999 })).toBe(CHAIN);
});

test("without a recipe nothing happens; what fails is logged and the next tick mends it", async () => {
  const { parts, tick, done, logged, refuse } = schedule();
  await onTick({ cron: NIGHTLY, scheduledTime: MORNING }, { ...parts, recipe: undefined });
  expect(done).toEqual([]);
  expect(logged).toEqual(["info: retraining: no RETRAIN_RECIPE, nothing to do"]);
  refuse(new Error("workflows are down"));
  await tick();
  expect(logged.at(-1)).toBe("error: retraining: workflows are down");
  refuse(undefined);
  await tick(MORNING + 15 * MINUTE_MS, RECONCILE_CRON);
  expect(done).toEqual([`create ${CHAIN}`]);
});

describe("a tick that looks after a chain", () => {
  test.each([
    ["whose alarm is ahead lets it sleep", { later: 5 * MINUTE_MS, job: "running" }, []],
    ["whose alarm is past wakes it", { later: 11 * MINUTE_MS, job: "running" }, [`wake ${CHAIN}`]],
    ["whose job has ended wakes it", { later: 0, job: "succeeded" }, [`wake ${CHAIN}`]],
    ["whose job has failed wakes it", { later: 0, job: "failed" }, [`wake ${CHAIN}`]],
    ["that was lost makes it anew", { later: 0, job: "running", status: null }, [`create ${CHAIN}`]],
    ["that has broken ends it", { later: 0, job: "running", status: "errored" }, []],
    [
      "that broke with a canary takes that back",
      { later: 0, job: "succeeded", status: "errored", canary: true },
      ["end canary second"],
    ],
  ] as [string, { later: number; job: JobState; status?: string | null; canary?: boolean }, string[]][])(
    "%s",
    async (_, { later, job, status, canary }, expected) => {
      const { tick, reconcile, done, store, statuses, jobEnds } = schedule();
      await tick();
      const wake_at = new Date(MORNING + 10 * MINUTE_MS).toISOString();
      await store.record(CHAIN, "job posted", {
        state: "training",
        job: "job-1",
        release: "second",
        wake_at,
      });
      if (canary) await store.record(CHAIN, "canary started", { state: "canary" });
      done.length = 0;
      jobEnds(job);
      if (status === null) statuses.delete(CHAIN);
      else if (status) statuses.set(CHAIN, status);
      await reconcile(later);
      expect(done).toEqual(expected);
      expect((await store.newest(1))[0]?.state).toBe(
        status === "errored" ? "failed" : canary ? "canary" : "training",
      );
    },
  );
});

test("an end is for good, and the next chain learns from where the last lesson ended", async () => {
  const { tick, store } = schedule();
  expect(await store.learnedUntil("tiny")).toBeNull();
  for (const [day, state, until] of [
    [0, "promoted", "2026-01-01"],
    [1, "failed", "2026-01-02"],
    [2, "skipped", "2026-01-03"],
  ] as const) {
    await tick(MORNING + day * 24 * 60 * MINUTE_MS);
    const { id } = (await store.open())[0]!;
    await store.record(id, "counted", { traffic_until: until, requests: 7 });
    await store.record(id, "the end", { state, note: state });
    await store.record(id, "the end", { state: "training" });
    await store.record(id, "too late", { state: "training" });
  }
  expect((await store.newest(9)).map(({ state, requests }) => [state, requests])).toEqual([
    ["skipped", 7],
    ["failed", 7],
    ["promoted", 7],
  ]);
  expect(await store.learnedUntil("tiny")).toBe("2026-01-01");
  expect((await store.audit(100)).filter(({ done }) => done === "the end")).toHaveLength(3);
});

describe("over HTTP", () => {
  const event = {
    id: "e-1",
    job: "job-1",
    state: "succeeded",
    release: "r",
    time: "2026-01-01T03:30:00.000Z",
  };
  function service() {
    const there = schedule();
    const app = new Hono().route(
      "/",
      retrainingRoutes(
        () => there.parts,
        async (c, next) => (c.req.header("authorization") === "Bearer admin" ? next() : c.text("no", 401)),
      ),
    );
    const post = (body: string, signature: string) =>
      app.request("/events", { method: "POST", body, headers: { [JOB_EVENT_SIGNATURE]: signature } });
    const send = async (body: unknown, token = TOKEN) =>
      post(JSON.stringify(body), await signJobEvent(JSON.stringify(body), token));
    return { ...there, app, post, send };
  }

  test("the training service's events wake the job's chain, and harm nothing twice, late or unasked", async () => {
    const { send, done, store, tick } = service();
    expect((await send(event)).status).toBe(204);
    expect(done).toEqual([]);
    await tick();
    await store.record(CHAIN, "job posted", { state: "training", job: "job-1" });
    for (let delivery = 0; delivery < 2; delivery++) expect((await send(event)).status).toBe(204);
    expect(done).toEqual([`create ${CHAIN}`, `wake ${CHAIN}`, `wake ${CHAIN}`]);
    expect((await store.audit(9)).map((entry) => entry.done)).toEqual([
      "event e-1: job job-1 succeeded",
      "job posted",
    ]);
    await store.record(CHAIN, "kept: worse", { state: "kept", note: "worse" });
    expect((await send(event)).status).toBe(204);
    expect(done).toHaveLength(3);
  });

  test("an event that is not signed by the training service is refused, and so is none", async () => {
    const { send, post } = service();
    expect((await send(event, "another token of thirty-two bytes!")).status).toBe(401);
    expect((await post(JSON.stringify(event), "")).status).toBe(401);
    const refused = await send({ ...event, state: "perfect" });
    expect([refused.status, await refused.text()]).toEqual([400, expect.stringContaining("event: state:")]);
  });

  test("an operator begins a chain and sees what chains did; nobody else does", async () => {
    const { app, store } = service();
    const ask = (method: string, secret = "admin") =>
      app.request("/", { method, headers: { authorization: `Bearer ${secret}` } });
    expect((await ask("GET", "guessed")).status).toBe(401);
    expect((await ask("POST", "guessed")).status).toBe(401);
    const begun = await ask("POST");
    expect([begun.status, await begun.json()]).toMatchObject([201, { id: "by-hand-1", forced: true }]);
    expect((await ask("POST")).status).toBe(409);
    await store.record("by-hand-1", "traffic counted", { requests: 3 });
    expect(await (await ask("GET")).json()).toMatchObject({
      chains: [{ id: "by-hand-1", state: "counting", forced: true, requests: 3, ended: null }],
      audit: [{ chain: "by-hand-1", done: "traffic counted", facts: { requests: 3 } }],
    });
  });
});

test("traffic is counted by the batches' notes, from one time to another", async () => {
  const now = Date.now();
  const at = (offset: number) => new Date(now + offset).toISOString();
  const put = (day: string, batch: string, requests?: number) =>
    RELEASES.put(`traffic/${day.slice(0, 10)}/s-1/${batch}.ndjson.gz`, "x", {
      ...(requests !== undefined && { customMetadata: { requests: String(requests) } }),
    });
  await put(at(0), "a", 5);
  await put(at(-86_400_000), "b", 2);
  await put(at(0), "no-note");
  await put("2020-01-01", "of-another-day", 100);
  expect(await countTraffic(RELEASES, at(-60_000), at(600_000))).toBe(7);
  expect(await countTraffic(RELEASES, at(600_000), at(900_000))).toBe(0);
});
