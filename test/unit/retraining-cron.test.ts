import { expect, test } from "vitest";
import { type CronTick, idempotencyKey, postRetrainingJob } from "../../edge/retraining/cron.ts";
import { trainingApi } from "../../gpu-service/training/api/app.ts";
import { openService } from "../support/training.ts";
import { prepareFolder } from "../support/training-folder.ts";

const TOKEN = "a token of more than thirty-two bytes";
const tick = (time: string, cron = "0 3 * * *"): CronTick => ({ cron, scheduledTime: Date.parse(time) });

/** The worker's cron against the real jobs API, without a network between them. */
function schedule(options: { recipe?: string; token?: string; fetch?: typeof fetch } = {}) {
  const { store, recipes, folders } = openService(prepareFolder({ fake: { steps: 1 } }));
  let n = 0;
  const api = trainingApi({
    store,
    recipes,
    logPath: (id) => folders.logPath(id),
    token: TOKEN,
    canPublish: true,
    newId: () => `job-${++n}`,
    newRelease: (recipe) => `${recipe}-${n}`,
    metrics: { contentType: "text/plain", text: async () => "" },
  });
  const logged: { level: string; message: string }[] = [];
  const deliver = (at: CronTick) =>
    postRetrainingJob(at, {
      url: "http://training.test",
      token: options.token ?? TOKEN,
      recipe: options.recipe ?? "fake",
      fetch: options.fetch ?? (async (input, init) => api.fetch(new Request(input, init))),
      log: (entry) => logged.push(entry),
    });
  return { store, deliver, logged };
}

test("a tick posts one job, however often it is delivered; the next tick another", async () => {
  const { store, deliver, logged } = schedule();
  await deliver(tick("2026-01-01T03:00:00.000Z"));
  await deliver(tick("2026-01-01T03:00:41.500Z"));
  expect(store.list(10)).toHaveLength(1);
  expect(store.list(10)[0]).toMatchObject({ recipe: "fake", publish: true, state: "queued" });
  await deliver(tick("2026-01-02T03:00:00.000Z"));
  await deliver(tick("2026-01-02T03:00:00.000Z", "0 * * * *"));
  expect(store.list(10)).toHaveLength(3);
  expect(logged.map((entry) => entry.level)).toEqual(["info", "info", "info", "info"]);
});

test("the key names the schedule and the minute, and fits the API's limit", () => {
  expect(idempotencyKey(tick("2026-01-01T03:00:41.500Z"))).toBe("cron 0 3 * * * 2026-01-01T03:00");
});

test.each([
  [
    { recipe: "gone" },
    'retraining: no job could be posted to http://training.test: 400: recipe "gone": unknown',
  ],
  [{ token: "wrong" }, "401: authorization: wrong bearer token"],
  [{ fetch: () => Promise.reject(new Error("connection refused")) }, "connection refused"],
  [
    { fetch: async () => new Response("<html>", { status: 502, statusText: "Bad Gateway" }) },
    "502: Bad Gateway",
  ],
])("a failure is logged, not thrown (%#)", async (options, message) => {
  const { store, deliver, logged } = schedule(options);
  await deliver(tick("2026-01-01T03:00:00.000Z"));
  expect(store.list(10)).toEqual([]);
  expect(logged).toHaveLength(1);
  expect(logged[0]).toMatchObject({ level: "error", message: expect.stringContaining(message) });
});

test("without a training service nothing is posted", async () => {
  const log: { level: string }[] = [];
  const never = () => Promise.reject(new Error("must not be called"));
  const options = { token: undefined, fetch: never, log: (entry: { level: string }) => log.push(entry) };
  await postRetrainingJob(tick("2026-01-01T03:00:00Z"), { ...options, url: undefined, recipe: "fake" });
  await postRetrainingJob(tick("2026-01-01T03:00:00Z"), { ...options, url: "http://x", recipe: undefined });
  expect(log.map((entry) => entry.level)).toEqual(["info", "info"]);
});
