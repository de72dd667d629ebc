/** A job's inputs through its life: copied before its trainer starts, asked about once it has ended. */
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { StoredJob } from "../jobs/job-row.ts";
import type { TrainingTask } from "../launchers/launcher.ts";
import { UnreachableError } from "../publish/errors.ts";
import { fetchInputs, holdsDeleted, type Inputs, type InputsParts } from "./inputs.ts";

type Opened = Pick<InputsParts, "bucket" | "release"> & { close(): void };

/** The inputs could not be had: worth another try. */
export class InputsError extends Error {
  override name = "InputsError";
}

export class JobInputs {
  readonly #open: () => Promise<Opened>;

  /** `open`: reaches the bucket; rejects where this service has none. */
  constructor(open: () => Promise<Opened>) {
    this.#open = open;
  }

  /** What an attempt before made of traffic that was deleted since is thrown away. */
  async fetch(job: StoredJob, task: TrainingTask, say: (line: string) => void): Promise<Inputs> {
    if (!job.traffic && job.parent === null) return {};
    const { target } = job.recipe_json ?? { target: null };
    if (target === null)
      throw new InputsError(`job ${job.id}: its recipe names no target, so it has no traffic and no parent`);
    return this.#with(async ({ bucket, release }) => {
      if (await holdsDeleted(bucket, folderOf(task))) {
        say("captured requests that it learnt from were deleted: begins anew");
        startAnew(task);
      }
      const wish = { target, traffic: job.traffic, parent: job.parent };
      return fetchInputs({ bucket, release, say }, wish, folderOf(task));
    });
  }

  /** Whether it has learnt from traffic that was deleted since: then nothing of it may be published. */
  async isStale(job: StoredJob, task: TrainingTask): Promise<boolean> {
    if (!job.traffic) return false;
    return this.#with(({ bucket }) => holdsDeleted(bucket, folderOf(task)));
  }

  async #with<T>(use: (opened: Opened) => Promise<T>): Promise<T> {
    try {
      const opened = await this.#open();
      try {
        return await use(opened);
      } finally {
        opened.close();
      }
    } catch (error) {
      if (error instanceof UnreachableError) throw error;
      throw new InputsError(error instanceof Error ? error.message : String(error));
    }
  }
}

const folderOf = (task: TrainingTask): string => join(task.work, "inputs");

/** Forgets all that a trainer has made. */
export function startAnew(task: TrainingTask): void {
  for (const path of [task.work, task.out]) {
    rmSync(path, { recursive: true, force: true });
    mkdirSync(path, { recursive: true });
  }
}
