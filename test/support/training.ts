/** A training service in this process around the fake trainer, in a folder of its own. */
import { chmodSync, mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isFinished, type Job } from "../../gpu-service/protocol/jobs.ts";
import { JobFolders } from "../../gpu-service/training/jobs/folders.ts";
import { Recipes } from "../../gpu-service/training/jobs/recipes.ts";
import { JobRunner, type RunnerParts } from "../../gpu-service/training/jobs/runner.ts";
import { JobStore } from "../../gpu-service/training/jobs/store.ts";
import { localLauncher } from "../../gpu-service/training/launchers/local.ts";
import { isRunning, processIdentity } from "../../gpu-service/training/launchers/process.ts";

const TRAINER = join(import.meta.dirname, "fake-trainer.mjs");

export const temporaryFolder = (): string => mkdtempSync(join(tmpdir(), "outrider-training-"));

export type FakeRecipe = {
  steps: number;
  step_ms?: number;
  die_at?: number;
  refuse?: string;
  no_release?: boolean;
  hold?: boolean;
};

/** Writes recipes and an interpreter that runs the fake trainer; both are found again by `openService`. */
export function prepareFolder(recipes: Record<string, FakeRecipe>, folder = temporaryFolder()): string {
  mkdirSync(join(folder, "recipes"), { recursive: true });
  for (const [name, recipe] of Object.entries(recipes)) {
    writeFileSync(join(folder, "recipes", `${name}.json`), JSON.stringify(recipe));
  }
  const python = join(folder, "python");
  writeFileSync(python, `#!/bin/sh\nexec "${process.execPath}" "${TRAINER}" "$@"\n`);
  chmodSync(python, 0o755);
  return folder;
}

export type Service = { store: JobStore; runner: JobRunner; folders: JobFolders; recipes: Recipes };

export function openService(folder: string, parts: Partial<RunnerParts> = {}): Service {
  const store = new JobStore(join(folder, "jobs.sqlite"));
  const folders = new JobFolders(join(folder, "jobs"));
  const recipes = new Recipes(join(folder, "recipes"));
  const runner = new JobRunner({
    store,
    folders,
    recipes,
    launcher: localLauncher({
      project: folder,
      modelsRoot: folder,
      environment: async () => join(folder, "python"),
    }),
    publish: async () => {},
    owner: processIdentity(process.pid)!,
    isRunning,
    log: { info: () => {}, error: () => {} },
    ...parts,
  });
  return { store, runner, folders, recipes };
}

export async function untilJob(
  store: JobStore,
  id: string,
  wanted: (job: Job) => boolean = (job) => isFinished(job.state),
): Promise<Job> {
  let job = store.get(id);
  for (let waited = 0; waited < 20_000; waited += 20) {
    job = store.get(id);
    if (job && wanted(job)) return job;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`job ${id} stands at ${JSON.stringify(job)}`);
}
