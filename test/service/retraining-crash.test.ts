/**
 * A chain in a real worker that is killed again and again: the workflow, its D1, the channel. The training service is
 * scripted, but signs and publishes into the worker as the real one does.
 */
import { serve } from "@hono/node-server";
import { Hono } from "hono";
import { afterAll, beforeAll, expect, test } from "vitest";
import { z } from "zod";
import { channelChangeSchema } from "../../gpu-service/protocol/channel-change.ts";
import { JOB_EVENT_SIGNATURE, JOB_EVENTS_PATH, signJobEvent } from "../../gpu-service/protocol/job-events.ts";
import type { JobState } from "../../gpu-service/protocol/jobs.ts";
import { openPublisher, type Publisher } from "../../gpu-service/training/publish/publisher.ts";
import { openSigningKeys } from "../../gpu-service/training/publish/signing-keys.ts";
import { buildKernel } from "../../infra/build/kernel.ts";
import { applyMigrations, workerCommand } from "../../infra/start/edge.ts";
import { type DataFolder, openDataFolder } from "../../infra/start/paths.ts";
import { freePort } from "../../infra/start/ports.ts";
import { Processes } from "../../infra/start/processes.ts";
import { waitUntilReady } from "../../infra/start/ready.ts";
import { openSecrets } from "../../infra/start/secrets.ts";
import { publishingVariables } from "../../infra/start/services.ts";
import { makeDraftFolder } from "../support/draft-folder.ts";
import { temporaryFolder } from "../support/training-folder.ts";

const LIMIT_MS = 120_000;
/** No request is served here, so the canary is never judged: its time is up soon. */
const RETRAINING = { min_traffic: 0, poll_s: 1, event_timeout_s: 3_600, canary_limit_s: 2, min_requests: 30 };
const chainSchema = z.object({
  chains: z.array(z.object({ id: z.string(), state: z.string(), note: z.string().nullable() })),
  audit: z.array(z.object({ done: z.string() })),
});

let data: DataFolder;
let address: string;
let port: number;
let processes: Processes;
let publisher: Publisher;
let training: ReturnType<typeof trainingService>;

beforeAll(async () => {
  data = openDataFolder(temporaryFolder());
  port = await freePort();
  address = `http://127.0.0.1:${port}`;
  await Promise.all([buildKernel(), applyMigrations(data)]);
  training = trainingService(await freePort());
  await startWorker();
  publisher = await openPublisher(publishingVariables(data, address, openSecrets(data.keys)));
  await publisher.importRelease(makeDraftFolder("first", "first"));
});
afterAll(async () => {
  publisher?.close();
  training?.close();
  await processes?.stop();
});

async function startWorker(): Promise<void> {
  const secrets = openSecrets(data.keys);
  processes = new Processes(data.logs);
  const variables = {
    ...{ TARGET: "tiny", VERIFIER_URLS: "ws://127.0.0.1:9" },
    ...{ LINK_KEY_ID: secrets.link.id, LINK_SECRET: secrets.link.secret, ADMIN_SECRET: secrets.admin },
    TRUSTED_KEYS: JSON.stringify((await openSigningKeys(data.keys)).trusted),
    ...{ TRAINING_URL: training.url, TRAINING_TOKEN: secrets.training, RETRAIN_RECIPE: "fake" },
    RETRAINING: JSON.stringify(RETRAINING),
  };
  processes.start(workerCommand(data, port, await freePort(), variables));
  await waitUntilReady(processes, { name: "worker", url: `${address}/healthz`, timeoutMs: 90_000 });
}

/** What the worker knows of the training service: one job at a time, and the channel moved by its signing key. */
function trainingService(servicePort: number) {
  const jobs = new Map<string, string>();
  let state: JobState = "running";
  const job = (id: string) => ({
    ...{
      id,
      recipe: "fake",
      overrides: null,
      traffic: null,
      parent: null,
      release: "second",
      publish: "canary",
    },
    ...{ state, created: "", started: null, finished: null, progress: null, gates: null, error: null },
  });
  const app = new Hono();
  app.post("/v1/jobs", async (c) => {
    const { idempotency_key: key } = z.looseObject({ idempotency_key: z.string() }).parse(await c.req.json());
    if (!jobs.has(key)) jobs.set(key, `job-${jobs.size + 1}`);
    return c.json(job(jobs.get(key)!));
  });
  app.get("/v1/jobs/:id", (c) => c.json(job(c.req.param("id"))));
  app.post("/v1/channels/:target", async (c) => {
    await publisher.changeChannel(c.req.param("target"), channelChangeSchema.parse(await c.req.json()));
    return c.json({ ok: true });
  });
  const server = serve({ fetch: app.fetch, hostname: "127.0.0.1", port: servicePort });
  return {
    url: `http://127.0.0.1:${servicePort}`,
    jobs,
    ends: (as: JobState) => {
      state = as;
    },
    close: () => server.close(),
  };
}

async function killWorker(): Promise<void> {
  for (const pid of processes.pids()) process.kill(-pid, "SIGKILL");
  await processes.stop();
}

const admin = async (path: string): Promise<unknown> => {
  const headers = { authorization: `Bearer ${openSecrets(data.keys).admin}` };
  return (await fetch(`${address}${path}`, { headers })).json();
};
const tick = async (cron: string) => {
  const url = `${address}/cdn-cgi/handler/scheduled?cron=${encodeURIComponent(cron)}&time=${Date.UTC(2026, 0, 1, 3)}`;
  expect((await fetch(url)).status).toBe(200);
};
const [NIGHTLY, RECONCILE] = ["0 3 * * *", "*/15 * * * *"];

/** Ticks on, as the clock would, until the only chain is in one of these states. */
async function untilState(...states: string[]) {
  for (const deadline = Date.now() + LIMIT_MS; ; ) {
    const found = chainSchema.parse(await admin("/admin/retraining"));
    expect(found.chains).toHaveLength(1);
    if (states.includes(found.chains[0]!.state)) return found;
    if (Date.now() > deadline) throw new Error(`not ${states.join(" or ")}: ${JSON.stringify(found)}`);
    await tick(RECONCILE);
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
}

test("a worker killed while a chain waits, and again in its canary: one job, one canary, what was current stays", async () => {
  await tick(NIGHTLY);
  await untilState("training");
  await killWorker();
  await startWorker();
  await tick(NIGHTLY);
  await untilState("training");

  await publisher.publishJob(makeDraftFolder("x", "second"), "second", "canary");
  training.ends("succeeded");
  const event = {
    id: "1",
    job: "job-1",
    state: "succeeded",
    release: "second",
    time: "2026-01-01T03:30:00.000Z",
  };
  const body = JSON.stringify(event);
  const signature = await signJobEvent(body, openSecrets(data.keys).training);
  const headers = { [JOB_EVENT_SIGNATURE]: signature };
  expect((await fetch(`${address}${JOB_EVENTS_PATH}`, { method: "POST", body, headers })).status).toBe(204);

  await untilState("canary", "kept");
  await killWorker();
  await startWorker();
  const { chains, audit } = await untilState("kept", "failed", "promoted");
  expect(chains[0]).toMatchObject({ state: "kept", note: "not judged in time" });
  expect(training.jobs.size).toBe(1);
  expect(await publisher.channels.read("tiny")).toMatchObject({
    current: { release: "first" },
    canary: null,
  });
  const done = audit.map((entry) => entry.done);
  expect(new Set(done).size).toBe(done.length);
  expect(done.toReversed()).toEqual([
    "traffic counted",
    "job posted",
    "event 1: job job-1 succeeded",
    "canary started",
    "kept: not judged in time",
  ]);
}, 300_000);
