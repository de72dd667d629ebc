/** Where a trainer runs. One interface, so that a job does not know whether it is a process or a cluster's. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Progress } from "../../protocol/jobs.ts";

/** Everything that a trainer reads and writes. All are absolute paths. */
export type TrainingTask = {
  recipe: string;
  /** Stages' folders and checkpoints: a trainer that starts again goes on from here. */
  work: string;
  /** The finished release, `manifest.unsigned.json` last. */
  out: string;
  /** Progress, one JSON object a line, appended. */
  events: string;
  /** What the trainer prints, appended. */
  log: string;
  /** Folders of captured requests and of the release to go on from, for the jobs that have them. */
  inputs?: { traffic?: string; parent?: string };
};

/** Whether the release is whole: its manifest is written last. */
export const isComplete = (task: TrainingTask): boolean =>
  existsSync(join(task.out, "manifest.unsigned.json"));

export type TrainerEnd =
  | { kind: "finished" }
  /** The trainer said no: trying again would end the same way. */
  | { kind: "refused"; message: string }
  /** Killed from outside or lost: worth another try. */
  | { kind: "lost"; message: string };

export type Trainer = {
  /** Finds the trainer again after this service was killed. */
  readonly identity: string;
  readonly ended: Promise<TrainerEnd>;
  /** Ends it with all its children; resolves when they are gone. */
  end(): Promise<void>;
};

export type Launcher = {
  /** Sets the environment up if need be, then starts. Throws SetupError when this machine cannot run it. */
  start(task: TrainingTask, tell: Tell, signal: AbortSignal): Promise<Trainer>;
  /** The trainer that an earlier service started, if it still runs; what is left of one that does not is ended. */
  adopt(identity: string, task: TrainingTask): Promise<Trainer | undefined>;
};

export type Tell = {
  /** How the set-up, which may take minutes, is seen from outside. */
  log(line: string): void;
  progress(progress: Progress): void;
  /** Called before the trainer does anything: whoever is killed after that finds it again by its identity. */
  named(identity: string): void;
};

/** This machine lacks something; the text says what, and what to do. */
export class SetupError extends Error {
  override name = "SetupError";
}
