/** Runs the trainer as a job of a Ray cluster that sees the same folders: it outlives us, and is found by its id. */
import { randomUUID } from "node:crypto";
import { appendFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { Launcher, Trainer, TrainerEnd, TrainingTask } from "./launcher.ts";
import { RayApi, RayError, type RayJob } from "./ray-api.ts";
import { trainerFlags } from "./trainer-flags.ts";

const POLL_MS = 1_000;
const PREFIX = "ray:";

export type RayLauncherOptions = {
  /** Of the cluster's dashboard, and the token that it asks for, if any. */
  address: string;
  token?: string | undefined;
  /** Processes of a training, and the GPUs of each. */
  workers: number;
  gpus: number;
  /** On every node: the interpreter that Ray runs with, the trainer's project, the folders of targets. */
  python: string;
  project: string;
  modelsRoot: string;
};

export function rayLauncher(options: RayLauncherOptions): Launcher {
  const api = new RayApi(options.address, options.token);
  return {
    async start(task, tell) {
      const id = `outrider-${randomUUID()}`;
      tell.named(PREFIX + id);
      tell.log(`Ray job ${id} at ${options.address}, ${options.workers} workers`);
      await api.submit({
        submission_id: id,
        entrypoint: entrypoint(options, task),
        runtime_env: { env_vars: { PYTHONPATH: options.project, MODELS_ROOT: options.modelsRoot } },
      });
      return follow(api, id, task);
    },
    async adopt(identity, task) {
      if (!identity.startsWith(PREFIX)) return undefined;
      const id = identity.slice(PREFIX.length);
      const job = await api.find(id);
      // One that has failed is worth another try, as any that nobody watched.
      return job && job.status !== "FAILED" && job.status !== "STOPPED" ? follow(api, id, task) : undefined;
    },
  };
}

function entrypoint({ python, workers, gpus }: RayLauncherOptions, task: TrainingTask): string {
  const cluster = ["--workers", String(workers), "--gpus", String(gpus)];
  return [python, "-u", "-m", "trainer", "cluster", ...trainerFlags(task), ...cluster].map(quote).join(" ");
}

/** For a shell. */
const quote = (word: string): string => `'${word.replaceAll("'", `'\\''`)}'`;

function follow(api: RayApi, id: string, task: TrainingTask): Trainer {
  return {
    identity: PREFIX + id,
    ended: watch(api, id, task),
    async end() {
      await api.stop(id);
      await untilEnded(api, id);
    },
  };
}

async function watch(api: RayApi, id: string, task: TrainingTask): Promise<TrainerEnd> {
  try {
    const { status, message } = await untilEnded(api, id);
    const logs = await api.logs(id);
    appendFileSync(task.log, logs.endsWith("\n") ? logs : `${logs}\n`);
    if (status === "SUCCEEDED") return { kind: "finished" };
    if (status === "STOPPED") return { kind: "lost", message: "the Ray job was stopped" };
    const refusal = refusalIn(logs);
    if (refusal !== undefined) return { kind: "refused", message: `the trainer failed: ${refusal}` };
    return { kind: "lost", message: `the Ray job failed: ${message ?? "no reason given"}` };
  } catch (error) {
    if (!(error instanceof RayError)) throw error;
    return { kind: "lost", message: error.message };
  }
}

async function untilEnded(api: RayApi, id: string): Promise<RayJob> {
  for (;;) {
    const job = await api.find(id);
    if (!job) throw new RayError(`job ${id} is gone`);
    if (job.status !== "PENDING" && job.status !== "RUNNING") return job;
    await sleep(POLL_MS);
  }
}

/** What the trainer said when it refused: trying again would end the same way. */
const refusalIn = (logs: string): string | undefined => {
  const line = logs.split("\n").findLast((one) => one.startsWith("cluster: "));
  return line?.slice("cluster: ".length);
};
