/** A lock between processes, given back by the operating system when its holder dies. */
import { DatabaseSync } from "node:sqlite";
import { setTimeout as sleep } from "node:timers/promises";

const POLL_MS = 300;
const SQLITE_BUSY = 5;

/**
 * Runs `work` while no other process holds the lock of this path (a file of its own).
 * `onWait` is called once if there is somebody to wait for.
 */
export async function withFileLock<T>(
  path: string,
  options: { signal: AbortSignal; onWait(): void },
  work: () => Promise<T>,
): Promise<T> {
  // An exclusive transaction of SQLite is a lock of the operating system's on the file.
  const lock = new DatabaseSync(path);
  try {
    for (let tries = 0; !begin(lock); tries++) {
      if (tries === 0) options.onWait();
      await sleep(POLL_MS, undefined, { signal: options.signal });
    }
    return await work();
  } finally {
    lock.close();
  }
}

function begin(lock: DatabaseSync): boolean {
  try {
    lock.exec("BEGIN EXCLUSIVE");
    return true;
  } catch (error) {
    if (error instanceof Error && "errcode" in error && error.errcode === SQLITE_BUSY) return false;
    throw error;
  }
}
