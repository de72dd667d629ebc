/** A training service in this process around the fake trainer. */
import { join } from "node:path";
import { isFinished, type Job } from "../../gpu-service/protocol/jobs.ts";
import type { Recipe } from "../../gpu-service/protocol/recipe.ts";
import { JobFolders } from "../../gpu-service/training/jobs/folders.ts";
import type { JobEntry } from "../../gpu-service/training/jobs/job-table.ts";
import { Recipes } from "../../gpu-service/training/jobs/recipes.ts";
import { JobRunner, type RunnerParts } from "../../gpu-service/training/jobs/runner.ts";
import { JobStore } from "../../gpu-service/training/jobs/store.ts";
import { localLauncher } from "../../gpu-service/training/launchers/local.ts";
import { isRunning, processIdentity } from "../../gpu-service/training/launchers/process.ts";

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
    inputs: { fetch: async () => ({}), isStale: async () => false },
    judge: async () => [{ gate: "fake", passed: true, message: "", figures: {} }],
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
  timeoutMs = 60_000,
): Promise<Job> {
  let job = store.get(id);
  for (let waited = 0; waited < timeoutMs; waited += 20) {
    job = store.get(id);
    if (job && wanted(job)) return job;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`job ${id} stands at ${JSON.stringify(job)}`);
}

/** A job as the API stores it. */
export const jobEntry = (id: string, wish: Partial<JobEntry> = {}): JobEntry => ({
  ...{ id, recipe: recipeOf("fake"), overrides: null, traffic: null, parent: null },
  ...{ release: `release-${id}`, publish: "channel" },
  ...wish,
});

export const recipeOf = (name: string): Recipe => ({
  name,
  target: "tiny",
  seed: 1,
  stages: [{ stage: "distil", texts: "texts", target: "$target", out: "$out", steps: 1, lr: 0.001 }],
});
