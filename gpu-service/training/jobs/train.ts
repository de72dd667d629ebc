/** One attempt at training a job: a trainer started or found again, followed, and ended when it is to stop. */
import type { Progress } from "../../protocol/jobs.ts";
import type { Launcher, Trainer, TrainerEnd, TrainingTask } from "../launchers/launcher.ts";
import type { JobInputs } from "../traffic/job-inputs.ts";
import { EventsFile } from "./events-file.ts";
import type { JobFolders } from "./folders.ts";
import type { StoredJob } from "./job-row.ts";
import type { JobStore } from "./store.ts";

export type TrainParts = {
  store: JobStore;
  folders: JobFolders;
  launcher: Launcher;
  inputs: Pick<JobInputs, "fetch" | "isStale">;
};

/** Rejects with the signal's reason once the trainer is gone; throws SetupError when it cannot start. */
export async function train(
  parts: TrainParts,
  job: StoredJob,
  task: TrainingTask,
  signal: AbortSignal,
): Promise<TrainerEnd> {
  const { store } = parts;
  const events = new EventsFile(task.events);
  // Lines of an earlier attempt are not news.
  events.latest();
  const trainer = await trainerOf(parts, job, task, signal);
  const unfollow = events.follow((progress) => store.setProgress(job.id, progress));
  const stopped = new Promise<never>((_, reject) => {
    const stop = () => void trainer.end().then(() => reject(signal.reason), reject);
    if (signal.aborted) stop();
    else signal.addEventListener("abort", stop);
  });
  try {
    const end = await Promise.race([trainer.ended, stopped]);
    // Ended by us, not lost.
    return signal.aborted ? await stopped : end;
  } finally {
    unfollow();
    store.setProcess(job.id, null);
  }
}

/** The trainer that an earlier service started for this job, if it still runs; otherwise a new one. */
async function trainerOf(
  { store, folders, launcher, inputs }: TrainParts,
  job: StoredJob,
  task: TrainingTask,
  signal: AbortSignal,
): Promise<Trainer> {
  const adopted = job.process === null ? undefined : await launcher.adopt(job.process, task);
  if (adopted) return adopted;
  const tell = {
    log: (line: string) => folders.say(job.id, line),
    progress: (progress: Progress) => store.setProgress(job.id, progress),
    named: (identity: string) => store.setProcess(job.id, identity),
  };
  return launcher.start({ ...task, inputs: await inputs.fetch(job, task, tell.log) }, tell, signal);
}
