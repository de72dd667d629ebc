/** Where a job's files lie. */
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import type { Recipe } from "../../protocol/recipe.ts";
import type { TrainingTask } from "../launchers/launcher.ts";

export class JobFolders {
  readonly #root: string;

  constructor(root: string) {
    this.#root = root;
  }

  /** Makes the job's folders and writes its recipe; safe to call again. */
  open(id: string, recipe: Recipe): TrainingTask {
    const folder = join(this.#root, id);
    const task = {
      recipe: join(folder, "recipe.json"),
      work: join(folder, "work"),
      out: join(folder, "out"),
      events: join(folder, "events.jsonl"),
      log: this.logPath(id),
    };
    for (const path of [task.work, task.out]) mkdirSync(path, { recursive: true });
    writeFileSync(`${task.recipe}.new`, JSON.stringify(recipe, null, 2));
    renameSync(`${task.recipe}.new`, task.recipe);
    return task;
  }

  /** How many stages the trainer has done: it leaves a marker for each. */
  stagesDone(id: string): number {
    const markers = join(this.#root, id, "work", "done");
    return existsSync(markers) ? readdirSync(markers).length : 0;
  }

  /** Jobs that have stages' folders or checkpoints. */
  withWork(): string[] {
    if (!existsSync(this.#root)) return [];
    return readdirSync(this.#root).filter((id) => existsSync(join(this.#root, id, "work")));
  }

  logPath(id: string): string {
    return join(this.#root, id, "log.txt");
  }

  say(id: string, line: string): void {
    appendFileSync(this.logPath(id), `${line}\n`);
  }

  /** Forgets the stages' folders and checkpoints, and with `all` the result too; the log stays. */
  discard(id: string, all: boolean): void {
    for (const name of all ? ["work", "out"] : ["work"]) {
      rmSync(join(this.#root, id, name), { recursive: true, force: true });
    }
  }
}
