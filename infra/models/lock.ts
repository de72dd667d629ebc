/** One process at a time in a place of the data folder: two starts may want the same model. */
import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { withFileLock } from "../../gpu-service/training/launchers/file-lock.ts";

/** Runs `work` alone; waits for another process that holds `path`, and says so. */
export function alone<T>(path: string, say: (line: string) => void, work: () => Promise<T>): Promise<T> {
  mkdirSync(dirname(path), { recursive: true });
  const onWait = () => say("Waiting for another process that prepares the same model ...");
  return withFileLock(`${path}.lock`, { signal: new AbortController().signal, onWait }, work);
}
