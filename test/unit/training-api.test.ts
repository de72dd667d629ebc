import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { jobListSchema, jobSchema } from "../../gpu-service/protocol/jobs.ts";
import { type ApiParts, trainingApi } from "../../gpu-service/training/api/app.ts";
import { trainingMetrics } from "../../gpu-service/training/api/metrics.ts";
import type { JobRunner } from "../../gpu-service/training/jobs/runner.ts";
import { openService, untilJob } from "../support/training.ts";
import { prepareFolder } from "../support/training-folder.ts";

const TOKEN = "a token of more than thirty-two bytes";
const open: JobRunner[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((runner) => runner.close()));
});

function service(parts: Partial<ApiParts> = {}) {
  const folder = prepareFolder({ fake: { steps: 10 }, tiny: { steps: 1 } });
  const { store, recipes, folders, runner } = openService(folder);
  let n = 0;
  const app = trainingApi({
    store,
    recipes,
    logPath: (id) => folders.logPath(id),
    token: undefined,
    canPublish: true,
    newId: () => `job-${++n}`,
    newRelease: (recipe) => `${recipe}-${n}`,
    metrics: trainingMetrics(store),
    ...parts,
  });
  const post = (body: unknown, headers: Record<string, string> = {}) =>
    app.request("/v1/jobs", {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: typeof body === "string" ? body : JSON.stringify(body),
    });
  const run = () => {
    open.push(runner);
    runner.start();
  };
  return { app, store, post, run, folder };
}
const readEvents = async (app: ReturnType<typeof trainingApi>) => {
  const text = await (await app.request("/v1/jobs/job-1/events")).text();
  return [...text.matchAll(/^data: (.*)$/gm)].map((line) => jobSchema.parse(JSON.parse(line[1]!)));
};
const errorOf = async (response: Response) =>
  ((await response.json()) as { error: { message: string } }).error;

test("a job is posted, listed and shown", async () => {
  const { app, post } = service();
  const posted = await post({ recipe: "fake", release: "my-release" });
  expect(posted.status).toBe(201);
  const job = jobSchema.parse(await posted.json());
  expect(job).toMatchObject({ id: "job-1", state: "queued", release: "my-release", publish: "channel" });
  const list = jobListSchema.parse(await (await app.request("/v1/jobs")).json());
  expect(list.data).toEqual([job]);
  expect(await (await app.request("/v1/jobs/job-1")).json()).toEqual(job);
});

test("the same idempotency key answers 200 with the first job, even for a recipe that is gone", async () => {
  const { post } = service();
  const first: unknown = await (await post({ recipe: "fake", idempotency_key: "k" })).json();
  for (const recipe of ["fake", "tiny", "gone"]) {
    const again = await post({ recipe, idempotency_key: "k" });
    expect(again.status).toBe(200);
    expect(await again.json()).toEqual(first);
  }
});

test.each([
  [{ recipe: "big" }, 400, 'recipe "big": unknown; there are fake, tiny'],
  [{ recipe: "../etc" }, 400, "recipe: "],
  [{ recipe: "fake", relese: "x" }, 400, 'Unrecognized key: "relese"'],
  [{}, 400, "recipe: "],
  ["{", 400, "the body is not JSON"],
  [" ".repeat(70_000), 413, "larger than 65536 bytes"],
])("a wrong job is refused and the refusal says why (%#)", async (body, status, text) => {
  const response = await service().post(body);
  expect(response.status).toBe(status);
  expect((await errorOf(response)).message).toContain(text);
});

test("a body that a browser would send unasked is refused", async () => {
  expect((await service().post({ recipe: "fake" }, { "content-type": "text/plain" })).status).toBe(415);
});

test("without a bucket and an edge a job cannot be published, but can run", async () => {
  const { post } = service({ canPublish: false });
  expect((await post({ recipe: "fake" })).status).toBe(409);
  expect((await post({ recipe: "fake", publish: false })).status).toBe(201);
});

test("with a token, the jobs are for its bearer only; health and metrics are open", async () => {
  const { app, post } = service({ token: TOKEN });
  expect((await post({ recipe: "fake" })).status).toBe(401);
  expect((await post({ recipe: "fake" }, { authorization: "Bearer wrong" })).status).toBe(401);
  expect((await post({ recipe: "fake" }, { authorization: `Bearer ${TOKEN}` })).status).toBe(201);
  expect((await app.request("/v1/jobs")).status).toBe(401);
  expect((await app.request("/healthz")).status).toBe(200);
  expect(await (await app.request("/metrics")).text()).toContain('outrider_training_jobs{state="queued"} 1');
});

test.each(["/v1/jobs/nobody", "/v1/jobs/nobody/events", "/v1/jobs/nobody/logs", "/nowhere"])(
  "%s is not found",
  async (path) => {
    const response = await service().app.request(path);
    expect(response.status).toBe(404);
    expect((await errorOf(response)).message).toMatch(/there is no/);
  },
);

test("events follow a job to its end, in order", async () => {
  const { app, post, run } = service();
  await post({ recipe: "fake" });
  const following = readEvents(app);
  run();
  const events = await following;
  expect(events[0]).toMatchObject({ state: "queued" });
  expect(events.at(-1)).toMatchObject({ state: "succeeded" });
  const states = events.map((job) => job.state).filter((state, i, all) => state !== all[i - 1]);
  // A state that lasts less than a poll may go unseen; none may come out of turn.
  expect(["queued", "running", "succeeded"].filter((state) => states.some((seen) => seen === state))).toEqual(
    states,
  );
});

test("what the trainer printed can be read, and cancelling a finished job changes nothing", async () => {
  const { app, post, run, store, folder } = service();
  const { writeFileSync } = await import("node:fs");
  writeFileSync(
    join(folder, "behaviour/fake.json"),
    JSON.stringify({ steps: 1, refuse: "the corpus is empty" }),
  );
  await post({ recipe: "fake" });
  run();
  await untilJob(store, "job-1");
  expect(await (await app.request("/v1/jobs/job-1/logs")).text()).toContain("the corpus is empty");
  const cancelled = await app.request("/v1/jobs/job-1/cancel", { method: "POST" });
  expect([cancelled.status, jobSchema.parse(await cancelled.json()).state]).toEqual([202, "failed"]);
});
