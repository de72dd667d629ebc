import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { GatesError } from "../../gpu-service/training/gates/gates.ts";
import type { JobRunner } from "../../gpu-service/training/jobs/runner.ts";
import { isRunning, processIdentity } from "../../gpu-service/training/launchers/process.ts";
import { UnreachableError } from "../../gpu-service/training/publish/errors.ts";
import { jobEntry, openService, untilJob } from "../support/training.ts";
import { type FakeRecipe, prepareFolder } from "../support/training-folder.ts";

const open: JobRunner[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((runner) => runner.close()));
});

function start(folder: string, parts: Parameters<typeof openService>[1] = {}) {
  const service = openService(folder, parts);
  open.push(service.runner);
  service.runner.start();
  return service;
}

async function until(holds: () => boolean): Promise<void> {
  for (let waited = 0; !holds(); waited += 20) {
    if (waited > 60_000) throw new Error("it does not come true");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const startsOf = (folder: string, id = "job-1"): string[] =>
  readFileSync(join(folder, "jobs", id, "starts"), "utf8")
    .trim()
    .split("\n");
const folderOf = (recipe: FakeRecipe): string => prepareFolder({ fake: recipe });
const atStep = (step: number) => (job: { progress: { step: number } | null }) =>
  (job.progress?.step ?? 0) >= step;

test("a job trains, then publishes under its own release id, and its progress is seen on the way", async () => {
  const folder = folderOf({ steps: 30 });
  const published: string[] = [];
  const { store } = start(folder, {
    publish: async (job, out) => {
      published.push(`${job.release} ${existsSync(join(out, "model.draft"))}`);
    },
  });
  store.add(jobEntry("job-1"));
  await untilJob(store, "job-1", (job) => job.progress?.stage === "distil");
  const job = await untilJob(store, "job-1");
  expect(job).toMatchObject({ state: "succeeded", error: null, progress: { stage: "publish", step: 1 } });
  expect(published).toEqual(["release-job-1 true"]);
});

test("a job that does not ask for it is not published", async () => {
  const folder = folderOf({ steps: 1 });
  const { store } = start(folder, { publish: () => Promise.reject(new Error("must not be called")) });
  store.add(jobEntry("job-1", { publish: "no" }));
  expect(await untilJob(store, "job-1")).toMatchObject({ state: "succeeded" });
});

const gate = (passed: boolean) => ({
  gate: "golden",
  passed,
  message: "logits differ",
  figures: { error: 1 },
});

test("a candidate that a gate refuses is not published; the job says why and keeps what was made", async () => {
  const folder = folderOf({ steps: 1 });
  const { store } = start(folder, {
    judge: async () => [gate(true), gate(false)],
    publish: () => Promise.reject(new Error("must not be called")),
  });
  store.add(jobEntry("job-1"));
  expect(await untilJob(store, "job-1")).toMatchObject({
    state: "failed",
    error: "not published: golden: logits differ",
    gates: [gate(true), gate(false)],
  });
  expect(existsSync(join(folder, "jobs/job-1/out/model.draft"))).toBe(true);
  // What it was made of may hold captured requests.
  await until(() => !existsSync(join(folder, "jobs/job-1/work")));
});

test("a job waits for a bucket or a worker that does not answer, more often than it may fail", async () => {
  const away = { judge: 1, publish: 2 };
  const { store } = start(folderOf({ steps: 1 }), {
    judge: async () => {
      if (away.judge-- > 0) throw new UnreachableError("bucket: cannot read");
      return [gate(true)];
    },
    publish: async () => {
      if (away.publish-- > 0) throw new UnreachableError("channel tiny: the edge does not answer");
    },
  });
  store.add(jobEntry("job-1"));
  expect(await untilJob(store, "job-1")).toMatchObject({ state: "succeeded", error: null });
  expect(away).toEqual({ judge: -1, publish: -1 });
});

test("work that a killed service has left of a job that had ended is thrown away by the next", async () => {
  const folder = folderOf({ steps: 1 });
  const left = openService(folder);
  left.store.add(jobEntry("job-1"));
  left.store.requestCancel("job-1");
  mkdirSync(join(folder, "jobs/job-1/work/inputs/traffic"), { recursive: true });
  left.store.close();
  start(folder);
  await until(() => !existsSync(join(folder, "jobs/job-1/work")));
});

test("gates that cannot be asked are asked again, and in the end fail the job", async () => {
  const { store } = start(folderOf({ steps: 1 }), {
    judge: () => Promise.reject(new GatesError("no verifier answers")),
  });
  store.add(jobEntry("job-1"));
  expect(await untilJob(store, "job-1")).toMatchObject({
    state: "failed",
    error: "no verifier answers (3 times)",
  });
});

test("a job that was cut off while it published is not judged again", async () => {
  const folder = folderOf({ steps: 1 });
  let judged = 0;
  const judge = async () => [gate(++judged > 0)];
  const first = start(folder, {
    judge,
    publish: (_job, _out, signal) =>
      new Promise((_, reject) => signal.addEventListener("abort", () => reject(new Error("cut off")))),
  });
  first.store.add(jobEntry("job-1"));
  await untilJob(first.store, "job-1", (job) => job.progress?.stage === "publish");
  await first.runner.close();
  const second = start(folder, { judge });
  expect(await untilJob(second.store, "job-1")).toMatchObject({ state: "succeeded", gates: [gate(true)] });
  expect(judged).toBe(1);
});

test("a recipe that makes no release runs, but cannot be published", async () => {
  const { store } = start(folderOf({ steps: 1, no_release: true }));
  store.add(jobEntry("job-1", { publish: "no" }));
  store.add(jobEntry("job-2"));
  expect(await untilJob(store, "job-1")).toMatchObject({ state: "succeeded" });
  expect(await untilJob(store, "job-2")).toMatchObject({
    state: "failed",
    error: 'recipe fake makes no release: post it with "publish": "no"',
  });
});

test("one job at a time", async () => {
  const { store } = start(folderOf({ steps: 5, step_ms: 50 }));
  store.add(jobEntry("job-1"));
  store.add(jobEntry("job-2"));
  await untilJob(store, "job-1", (job) => job.state === "running");
  expect(store.get("job-2")?.state).toBe("queued");
  const [first, second] = [await untilJob(store, "job-1"), await untilJob(store, "job-2")];
  expect(Date.parse(second.started!)).toBeGreaterThanOrEqual(Date.parse(first.finished!));
});

test("what the trainer says when it refuses is the job's error", async () => {
  const { store } = start(folderOf({ steps: 1, refuse: "recipe: layers must be positive" }));
  store.add(jobEntry("job-1"));
  const job = await untilJob(store, "job-1");
  expect(job.state).toBe("failed");
  expect(job.error).toContain("layers must be positive");
});

test("a trainer that is killed goes on from its checkpoint", async () => {
  const folder = folderOf({ steps: 6, die_at: [3] });
  const { store } = start(folder);
  store.add(jobEntry("job-1"));
  expect(await untilJob(store, "job-1")).toMatchObject({ state: "succeeded" });
  expect(startsOf(folder)).toEqual(["0", "3"]);
});

test("a trainer that is killed again and again gets there as long as it gets further", async () => {
  const folder = folderOf({ steps: 6, die_at: [1, 2, 3, 4, 5] });
  const { store } = start(folder);
  store.add(jobEntry("job-1"));
  expect(await untilJob(store, "job-1")).toMatchObject({ state: "succeeded" });
  expect(startsOf(folder)).toEqual(["0", "1", "2", "3", "4", "5"]);
});

test("a trainer that is killed every time at the same place fails the job in the end", async () => {
  const folder = folderOf({ steps: 5, die_before: 3 });
  const { store } = start(folder);
  store.add(jobEntry("job-1"));
  expect(await untilJob(store, "job-1")).toMatchObject({
    state: "failed",
    error: "the trainer was ended by SIGKILL (3 times)",
  });
  expect(startsOf(folder)).toEqual(["0", "2", "2"]);
});

test("cancelling ends the whole process group, even a child that ignores the polite signal", async () => {
  const folder = folderOf({ steps: 1000, step_ms: 20, hold: true });
  const { store } = start(folder);
  store.add(jobEntry("job-1"));
  await untilJob(store, "job-1", atStep(1));
  const child = processIdentity(Number(readFileSync(join(folder, "jobs/job-1/work/child"), "utf8")))!;
  const trainer = store.find("job-1")!.process!;
  expect([isRunning(child), isRunning(trainer)]).toEqual([true, true]);
  store.requestCancel("job-1");
  expect(await untilJob(store, "job-1")).toMatchObject({ state: "cancelled" });
  expect([isRunning(child), isRunning(trainer)]).toEqual([false, false]);
  expect(existsSync(join(folder, "jobs/job-1/out"))).toBe(false);
});

test("a stopped service puts its job back, and the next one goes on", async () => {
  const folder = folderOf({ steps: 40, step_ms: 20 });
  const first = start(folder);
  first.store.add(jobEntry("job-1"));
  await untilJob(first.store, "job-1", atStep(5));
  const trainer = first.store.find("job-1")!.process!;
  await first.runner.close();
  expect(first.store.get("job-1")?.state).toBe("queued");
  expect(isRunning(trainer)).toBe(false);
  const second = start(folder);
  expect(await untilJob(second.store, "job-1")).toMatchObject({ state: "succeeded" });
  expect(startsOf(folder)).toEqual(["0", expect.stringMatching(/^([5-9]|\d\d)$/)]);
});

test("a job survives the crash of the service and of its trainer", async () => {
  const folder = folderOf({ steps: 60, step_ms: 20 });
  const { store } = openService(folder);
  store.add(jobEntry("job-1"));
  await killServiceAt(folder, store, 5);
  const trainer = store.find("job-1")!.process!;
  process.kill(Number.parseInt(trainer, 10), "SIGKILL");
  expect(store.get("job-1")?.state).toBe("running");
  start(folder);
  expect(await untilJob(store, "job-1")).toMatchObject({ state: "succeeded" });
  expect(startsOf(folder)).toHaveLength(2);
  expect(Number(startsOf(folder)[1])).toBeGreaterThanOrEqual(5);
});

test("a trainer that outlived its service is followed on, not started twice", async () => {
  const folder = folderOf({ steps: 60, step_ms: 20 });
  const { store } = openService(folder);
  store.add(jobEntry("job-1"));
  await killServiceAt(folder, store, 5);
  const trainer = store.find("job-1")!.process!;
  expect(isRunning(trainer)).toBe(true);
  start(folder);
  expect(await untilJob(store, "job-1")).toMatchObject({ state: "succeeded" });
  expect(startsOf(folder)).toEqual(["0"]);
});

test("two services on one store run every job once", async () => {
  const folder = folderOf({ steps: 5, step_ms: 20 });
  const { store } = openService(folder);
  const ids = ["a", "b", "c", "d", "e", "f"];
  for (const id of ids) store.add(jobEntry(id, { publish: "no" }));
  const services = [spawnService(folder), spawnService(folder)];
  for (const id of ids) expect(await untilJob(store, id)).toMatchObject({ state: "succeeded" });
  expect(ids.map((id) => startsOf(folder, id))).toEqual(ids.map(() => ["0"]));
  for (const service of services) {
    service.kill("SIGTERM");
    await once(service, "exit");
  }
});

function spawnService(folder: string) {
  const script = join(import.meta.dirname, "../support/training-process.ts");
  return spawn(process.execPath, [script, folder], { stdio: ["ignore", "ignore", "inherit"] });
}

async function killServiceAt(folder: string, store: ReturnType<typeof openService>["store"], step: number) {
  const service = spawnService(folder);
  await untilJob(store, "job-1", atStep(step));
  service.kill("SIGKILL");
  await once(service, "exit");
}
