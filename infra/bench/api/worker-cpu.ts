/** CPU time of the Worker, from the system's own accounts. Linux only. */
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { StartError } from "../../start/errors.ts";

/**
 * Of the workerd processes that wrangler starts, the one that runs the Worker, its objects and its storage. The other
 * one stands in front of it, listens on `port`, and only hands requests on: it is a tool of development.
 * `leader`: of wrangler's process group. Throws StartError where there is none.
 */
export function findWorker(leader: number, port: number): number {
  const lines = execFileSync("ps", ["axww", "-o", "pid=,pgid=,args="], { encoding: "utf8" }).split("\n");
  const own = lines
    .map((line) => /^\s*(\d+)\s+(\d+)\s+(.*)$/.exec(line))
    .filter((found) => Number(found?.[2]) === leader && /workerd\S* serve/.test(found?.[3] ?? ""))
    .filter((found) => !found?.[3]?.includes(`entry=127.0.0.1:${port} `));
  const pid = own.length === 1 ? Number(own[0]![1]) : undefined;
  if (pid === undefined) throw new StartError(`the Worker's process was not found in group ${leader}`);
  return pid;
}

/** Milliseconds that all threads of a process have run so far; each thread's account is kept in nanoseconds. */
export function cpuMsOf(pid: number): number {
  const threads = readdirSync(`/proc/${pid}/task`);
  const accounts = threads.map((thread) => readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "utf8"));
  return accounts.reduce((sum, account) => sum + Number(account.split(" ")[0]), 0) / 1e6;
}
