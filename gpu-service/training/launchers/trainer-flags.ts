/** What `python -m trainer run` and `... cluster` are told of a task. */
import type { TrainingTask } from "./launcher.ts";

export const trainerFlags = (task: TrainingTask): string[] =>
  [
    ["--recipe", task.recipe],
    ["--work", task.work],
    ["--out", task.out],
    ["--events", task.events],
    ...Object.entries(task.inputs ?? {}).map(([name, folder]) => [`--${name}`, folder]),
  ].flat();
