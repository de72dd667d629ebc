/** One system per data folder: two would write the same database. */
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { StartError } from "./errors.ts";

/** Takes the folder; throws where a living process holds it. Returns what gives it back. */
export function lockDataFolder(root: string): () => void {
  const path = join(root, "running.pid");
  const holder = readHolder(path);
  if (holder !== undefined && holder !== process.pid && isAlive(holder)) {
    throw new StartError(
      `Outrider runs already on ${root} (process ${holder}). Stop it first, or use another folder: ` +
        "OUTRIDER_DATA=/some/folder npm start",
    );
  }
  writeFileSync(path, `${process.pid}\n`);
  return () => {
    if (readHolder(path) === process.pid) rmSync(path, { force: true });
  };
}

function readHolder(path: string): number | undefined {
  try {
    const pid = Number.parseInt(readFileSync(path, "utf8"), 10);
    return Number.isInteger(pid) && pid > 0 ? pid : undefined;
  } catch {
    return undefined;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
