/** Runs the trainer as a process of this machine, in a group of its own and with its output in files: it outlives us. */
import { spawn } from "node:child_process";
import { closeSync, fstatSync, openSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { withoutSecrets } from "../secrets.ts";
import {
  isComplete,
  type Launcher,
  SetupError,
  type Tell,
  type Trainer,
  type TrainerEnd,
  type TrainingTask,
} from "./launcher.ts";
import { endGroup, isRunning, killGroup, processIdentity } from "./process.ts";
import type { SetupShell } from "./python-env.ts";
import { trainerFlags } from "./trainer-flags.ts";

const WATCH_MS = 500;
/** Runs its arguments once it is told to; not at all when whoever should tell it is gone. */
const HELD = 'read -r _ || exit 1; exec "$@" </dev/null';

export type LocalLauncherOptions = {
  /** Folder of the Python project: `python -m trainer` runs there. */
  project: string;
  /** Makes the environment if need be; returns its interpreter. */
  environment(shell: SetupShell): Promise<string>;
  /** Folder of target folders. */
  modelsRoot: string;
};

export function localLauncher(options: LocalLauncherOptions): Launcher {
  return {
    async start(task, tell, signal) {
      const python = await options.environment({
        log: tell.log,
        step: (step, steps) => tell.progress({ stage: "environment", step, steps }),
        signal,
      });
      return startProcess(python, task, options, tell);
    },
    async adopt(identity, task) {
      if (!isRunning(identity)) {
        await endGroup(identity);
        return undefined;
      }
      return { identity, ended: watchForeign(identity, task), end: () => endGroup(identity) };
    },
  };
}

const trainerArguments = (task: TrainingTask): string[] => [
  "-u",
  "-m",
  "trainer",
  "run",
  ...trainerFlags(task),
];

function startProcess(
  python: string,
  task: TrainingTask,
  options: LocalLauncherOptions,
  tell: Tell,
): Trainer {
  const log = openSync(task.log, "a");
  const logStart = fstatSync(log).size;
  const child = spawn("sh", ["-c", HELD, "sh", python, ...trainerArguments(task)], {
    cwd: options.project,
    detached: true,
    stdio: ["pipe", log, log],
    env: { ...withoutSecrets(process.env), MODELS_ROOT: options.modelsRoot, PYTHONUNBUFFERED: "1" },
  });
  closeSync(log);
  const ended = new Promise<TrainerEnd>((resolve) => {
    child.on("error", (error) =>
      resolve({ kind: "refused", message: `${python} does not start: ${error.message}` }),
    );
    child.on("exit", (code, signal) => {
      // Whatever it started must not go on writing into the job's folders.
      if (child.pid !== undefined) killGroup(child.pid);
      resolve(judge(code, signal, () => lastLine(task.log, logStart)));
    });
  });
  const identity = child.pid === undefined ? undefined : processIdentity(child.pid);
  if (identity === undefined)
    throw new SetupError(`${python} did not start, or ended at once; see ${task.log}`);
  tell.named(identity);
  // It may have been ended meanwhile: then nobody reads.
  child.stdin?.on("error", () => {}).end("go\n");
  return { identity, ended, end: () => endGroup(identity) };
}

function judge(code: number | null, signal: NodeJS.Signals | null, lastWords: () => string): TrainerEnd {
  if (code === 0) return { kind: "finished" };
  if (code === null) return { kind: "lost", message: `the trainer was ended by ${signal}` };
  return { kind: "refused", message: `the trainer failed: ${lastWords()}` };
}

/**
 * A process that is not our child tells no exit code: its release on disk, written last, does.
 * Where a recipe makes none, the trainer is started again and finds every stage done.
 */
async function watchForeign(identity: string, task: TrainingTask): Promise<TrainerEnd> {
  while (isRunning(identity)) await sleep(WATCH_MS);
  await endGroup(identity);
  return isComplete(task)
    ? { kind: "finished" }
    : { kind: "lost", message: "the trainer ended while nobody watched" };
}

/** An error of the trainer's is one line, and a traceback's last line names the error. */
function lastLine(path: string, start: number): string {
  const text = readFileSync(path).subarray(start).toString("utf8").trimEnd();
  return text.slice(text.lastIndexOf("\n") + 1) || "it printed nothing";
}
