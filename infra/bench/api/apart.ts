/** Gives the Worker's process a core of its own: a client beside it would empty its caches between two tokens. */
import { execFileSync } from "node:child_process";

const WORKERS_CORE = 1;
const OTHERS_CORE = 0;

/** Moves this process and the rest of wrangler's group `leader` away from the Worker. For a pinned system. */
export function leaveWorkerCore(leader: number, worker: number): void {
  const lines = execFileSync("ps", ["axww", "-o", "pid=,pgid="], { encoding: "utf8" }).split("\n");
  const group = lines
    .map((line) => line.trim().split(/\s+/).map(Number))
    .filter(([, pgid]) => pgid === leader)
    .map(([pid]) => pid!);
  const pin = (pid: number, core: number) =>
    execFileSync("taskset", ["-a", "-cp", String(core), String(pid)], { stdio: "ignore" });
  for (const pid of [process.pid, ...group]) pin(pid, pid === worker ? WORKERS_CORE : OTHERS_CORE);
}
