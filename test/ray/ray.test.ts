/**
 * The launcher `ray` on a cluster of this machine with two workers: the same job as by one process, the same losses;
 * followed on by the next service, ended when its job is cancelled, refused in the same words.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { z } from "zod";
import type { Recipe } from "../../gpu-service/protocol/recipe.ts";
import type { JobRunner } from "../../gpu-service/training/jobs/runner.ts";
import type { TrainingTask } from "../../gpu-service/training/launchers/launcher.ts";
import { localLauncher } from "../../gpu-service/training/launchers/local.ts";
import { rayLauncher } from "../../gpu-service/training/launchers/ray.ts";
import { RayApi } from "../../gpu-service/training/launchers/ray-api.ts";
import { ROOT } from "../../infra/start/paths.ts";
import { jobEntry, openService, untilJob } from "../support/training.ts";
import { prepareFolder } from "../support/training-folder.ts";
import { type Head, startHead } from "./head.ts";

const VENV = process.env.RAY_VENV!;
const PROJECT = join(ROOT, "gpu-service/training/trainer");
const MODELS = join(ROOT, "infra/models");
const JOB_MS = 500_000;
const STEPS = 16;
const SHAPE = { layers: 2, hidden: 64, heads: 2, "kv-heads": 1, "head-dim": 32, ffn: 96, context: 64 };
const DIALS = { steps: STEPS, warmup: 3, lr: 0.004, batch: 8, sequence: 32, threads: 1, device: "cpu" };
const CURVE: Recipe = {
  ...{ name: "curve", target: null, seed: 3 },
  stages: [
    { stage: "corpus", source: "stdlib", megabytes: 0.1, out: "corpus" },
    { stage: "tokenize", corpus: "corpus", "train-vocab": 300, out: "tokens" },
    { stage: "pretrain", tokens: "tokens", out: "$out/ddp", ...SHAPE, ...DIALS, strategy: "ddp" },
    { stage: "pretrain", tokens: "tokens", out: "$out/fsdp", ...SHAPE, ...DIALS, strategy: "fsdp" },
  ],
};

let head: Head;
const open: JobRunner[] = [];
beforeAll(async () => {
  // The workers, the driver and what the stages beside them take.
  head = await startHead(VENV, 4);
});
afterEach(async () => {
  await Promise.all(open.splice(0).map((runner) => runner.close()));
});
afterAll(() => head?.stop());

const byRay = (workers = 2) =>
  rayLauncher({
    ...{ address: head.address, python: head.python, workers, gpus: 0 },
    ...{ project: PROJECT, modelsRoot: MODELS },
  });
const byProcess = () =>
  localLauncher({ project: PROJECT, modelsRoot: MODELS, environment: async () => head.python });

function serve(folder: string, launcher: ReturnType<typeof byRay>) {
  const service = openService(folder, { launcher });
  open.push(service.runner);
  service.runner.start();
  return service;
}
const post = ({ store }: ReturnType<typeof serve>, id: string, recipe: Recipe) =>
  store.add(jobEntry(id, { recipe, publish: "no" }));

const logOf = (folder: string, id: string): string => {
  const path = join(folder, "jobs", id, "log.txt");
  return existsSync(path) ? readFileSync(path, "utf8") : "";
};

/** By step, of a stage's own record. */
function lossesOf(folder: string): number[] {
  const lines = readFileSync(join(folder, "metrics/steps.jsonl"), "utf8").trim().split("\n");
  return lines.map((line) => z.object({ loss: z.number() }).parse(JSON.parse(line)).loss);
}

test("two workers of a cluster train as one process does, data-parallel and sharded", async () => {
  const folder = prepareFolder({});
  const losses: Record<string, number[]>[] = [];
  for (const [id, launcher] of [
    ["alone", byProcess()],
    ["together", byRay()],
  ] as const) {
    const service = serve(folder, launcher);
    post(service, id, CURVE);
    const job = await untilJob(service.store, id, undefined, JOB_MS);
    expect(job, logOf(folder, id)).toMatchObject({ state: "succeeded", error: null });
    await service.runner.close();
    const out = join(folder, "jobs", id, "out");
    losses.push({ ddp: lossesOf(join(out, "ddp")), fsdp: lossesOf(join(out, "fsdp")) });
  }
  const [alone, together] = losses;
  for (const strategy of ["ddp", "fsdp"]) {
    const [one, two] = [alone![strategy]!, together![strategy]!];
    expect([one.length, two.length]).toEqual([STEPS, STEPS]);
    // Sums of two halves round otherwise than the sum of the whole.
    one.forEach((loss, step) => {
      expect(Math.abs(two[step]! - loss), `${strategy}, step ${step + 1}`).toBeLessThan(2e-3);
    });
  }
  expect(logOf(folder, "together")).toContain("2 workers");
});

const LONG: Recipe = {
  ...CURVE,
  stages: CURVE.stages.map((stage) => (stage.stage === "pretrain" ? { ...stage, steps: 100_000 } : stage)),
};

test("a job outlives its service, is followed on by the next one, and ends when it is cancelled", async () => {
  const folder = prepareFolder({});
  const first = serve(folder, byRay(1));
  post(first, "job-1", LONG);
  await untilJob(first.store, "job-1", (job) => job.progress?.stage === "pretrain", JOB_MS);
  const identity = first.store.find("job-1")!.process!;
  const id = identity.replace(/^ray:/, "");
  const api = new RayApi(head.address);

  // As a service that was killed leaves it: running, under an owner that is gone.
  const adopted = await byRay(1).adopt(identity, taskIn(folder));
  expect(adopted?.identity).toBe(identity);
  expect(await byRay(1).adopt("ray:nobody", taskIn(folder))).toBeUndefined();

  first.store.requestCancel("job-1");
  expect(await untilJob(first.store, "job-1", undefined, JOB_MS)).toMatchObject({ state: "cancelled" });
  expect((await api.find(id))?.status).toBe("STOPPED");
  expect(await adopted!.ended).toMatchObject({ kind: "lost" });
  expect(existsSync(join(folder, "jobs/job-1/out"))).toBe(false);
});

test("what the trainer refuses on a worker is the job's error", async () => {
  const folder = prepareFolder({});
  const service = serve(folder, byRay(1));
  const stages = [{ stage: "tokenize", corpus: "nowhere", "train-vocab": 300, out: "$out" }];
  post(service, "job-1", { ...CURVE, stages });
  const job = await untilJob(service.store, "job-1", undefined, JOB_MS);
  expect(job.state).toBe("failed");
  expect(job.error, logOf(folder, "job-1")).toMatch(
    /^the trainer failed: stage 'tokenize': .*documents.jsonl is missing/,
  );
});

const taskIn = (folder: string): TrainingTask => {
  const job = join(folder, "jobs/job-1");
  return {
    ...{ recipe: join(job, "recipe.json"), work: join(job, "work"), out: join(job, "out") },
    ...{ events: join(job, "events.jsonl"), log: join(folder, "adopted.log") },
  };
};
