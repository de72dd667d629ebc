/**
 * One attempt at a job: train, ask the gates, then publish; and how it ended.
 *
 * What an attempt before has done is not done again: a trainer goes on from its checkpoint, gates are asked once, and
 * publishing again changes nothing.
 */
import type { Gate } from "../../protocol/jobs.ts";
import { GatesError, refusal } from "../gates/gates.ts";
import { isComplete, SetupError, type TrainingTask } from "../launchers/launcher.ts";
import { UnreachableError } from "../publish/errors.ts";
import { InputsError, type JobInputs, startAnew } from "../traffic/job-inputs.ts";
import type { StoredJob } from "./job-row.ts";
import type { Recipes } from "./recipes.ts";
import { type TrainParts, train } from "./train.ts";

export type AttemptParts = TrainParts & {
  recipes: Recipes;
  /** What jobs learn from besides their recipes. */
  inputs: Pick<JobInputs, "fetch" | "isStale">;
  /** What the gates say of a finished release. Throws GatesError when they cannot be asked. */
  judge(job: StoredJob, task: TrainingTask, signal: AbortSignal): Promise<Gate[]>;
  /** Publishes a finished release, as the job wants it. Idempotent. */
  publish(job: StoredJob, folder: string, signal: AbortSignal): Promise<void>;
  log: { info(fields: object, text: string): void; error(fields: object, text: string): void };
};

export type Ended =
  | { kind: "succeeded" }
  | { kind: "failed"; message: string }
  | { kind: "cancelled" }
  /** To be tried again. `failure`: counts as one; `away`: bucket or worker do not answer. */
  | { kind: "again"; message: string; why: "failure" | "away" | "asked" };

/** Rejects only where the store fails. `signal`: the job was cancelled, or the service stops. */
export async function attempt(parts: AttemptParts, job: StoredJob, signal: AbortSignal): Promise<Ended> {
  try {
    return await inOrder(parts, job, signal);
  } catch (error) {
    return explain(parts, job, error, signal);
  }
}

async function inOrder(parts: AttemptParts, job: StoredJob, signal: AbortSignal): Promise<Ended> {
  const task = parts.folders.open(job.id, job.recipe_json ?? parts.recipes.read(job.recipe));
  if (!isComplete(task)) {
    const end = await train(parts, job, task, signal);
    if (end.kind === "refused") return { kind: "failed", message: end.message };
    if (end.kind === "lost") return { kind: "again", message: end.message, why: "failure" };
  }
  if (await parts.inputs.isStale(job, task)) {
    startAnew(task);
    return { kind: "again", message: "captured requests were deleted meanwhile", why: "asked" };
  }
  if (job.publish === "no") return { kind: "succeeded" };
  if (!isComplete(task)) {
    return {
      kind: "failed",
      message: `recipe ${job.recipe} makes no release: post it with "publish": "no"`,
    };
  }
  const refused = refusal(await gatesOf(parts, job, task, signal));
  if (refused !== null) return { kind: "failed", message: refused };
  const { store } = parts;
  store.setProgress(job.id, { stage: "publish", step: 0, steps: 1 });
  await parts.publish(job, task.out, signal);
  store.setProgress(job.id, { stage: "publish", step: 1, steps: 1 });
  return { kind: "succeeded" };
}

/** Asked once: a job that was cut off while it published publishes what has passed. */
async function gatesOf(
  { store, judge }: AttemptParts,
  job: StoredJob,
  task: TrainingTask,
  signal: AbortSignal,
): Promise<Gate[]> {
  if (job.gates) return job.gates;
  store.setProgress(job.id, { stage: "gates", step: 0, steps: 1 });
  const gates = await judge(job, task, signal);
  store.setGates(job.id, gates);
  return gates;
}

function explain(
  { store, folders, log }: AttemptParts,
  job: StoredJob,
  error: unknown,
  signal: AbortSignal,
): Ended {
  if (signal.aborted && store.find(job.id)?.cancel_requested) return { kind: "cancelled" };
  if (signal.aborted) return { kind: "again", message: "the service stops", why: "asked" };
  const message = error instanceof Error ? error.message : String(error);
  folders.say(job.id, message);
  if (error instanceof UnreachableError) return { kind: "again", message, why: "away" };
  if (error instanceof GatesError || error instanceof InputsError)
    return { kind: "again", message, why: "failure" };
  if (!(error instanceof SetupError)) log.error({ job: job.id, err: error }, "job failed");
  return { kind: "failed", message };
}
