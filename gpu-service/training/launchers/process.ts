/** Other processes: named so that they can be found again, ended with all their children. */
import { spawn, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

const GRACE_MS = 2_000;
const POLL_MS = 50;

/**
 * A name for a running process that no later process can have: its id and its start time.
 * `undefined` when there is no such process.
 */
export function processIdentity(pid: number): string | undefined {
  const started = startTime(pid);
  return started === undefined ? undefined : `${pid}@${started}`;
}

/** Whether the process that had this identity still runs. A zombie does not. */
export function isRunning(identity: string): boolean {
  return processIdentity(pidOf(identity)) === identity;
}

/**
 * Ends the process group that the named process leads, or led: asked first, then killed after 2 s. A process id is not
 * given anew while a group bears it, so what is left of a group whose leader is gone is the leader's.
 */
export async function endGroup(identity: string, graceMs = GRACE_MS): Promise<void> {
  const pid = pidOf(identity);
  const holder = processIdentity(pid);
  if (holder !== undefined && holder !== identity) return;
  signalGroup(pid, "SIGTERM");
  for (let waited = 0; waited < graceMs && groupExists(pid); waited += POLL_MS) await sleep(POLL_MS);
  killGroup(pid);
}

/** Ends what is left of the group of a process that has just ended: its id is not yet another's. */
export const killGroup = (pid: number): void => signalGroup(pid, "SIGKILL");

export type Outcome = { code: number | null; output: string };

/** Runs its arguments, and ends their whole group when whoever holds the other end of descriptor 3 is gone. */
const TIED = '(read _ <&3; kill -KILL 0) >/dev/null 2>&1 & exec 3<&-; exec "$@"';

/**
 * Runs a command in a process group of its own; every line goes to `log`, the last 20 kB come back.
 * An abort ends the whole group, and so does the end of this process, however it ends.
 */
export async function runLogged(
  command: string,
  args: readonly string[],
  options: { log: (line: string) => void; signal: AbortSignal; env?: NodeJS.ProcessEnv },
): Promise<Outcome> {
  options.signal.throwIfAborted();
  const child = spawn("sh", ["-c", TIED, "sh", command, ...args], {
    detached: true,
    stdio: ["ignore", "pipe", "pipe", "pipe"],
    env: options.env ?? process.env,
  });
  const identity = child.pid === undefined ? undefined : processIdentity(child.pid);
  const stop = () => identity && void endGroup(identity, 1_000);
  options.signal.addEventListener("abort", stop);
  let output = "";
  let partial = "";
  const take = (chunk: Buffer) => {
    output = (output + chunk).slice(-20_000);
    const lines = (partial + chunk).split(/\r?\n/);
    partial = lines.pop() ?? "";
    for (const line of lines) options.log(line);
  };
  for (const stream of [child.stdout, child.stderr]) stream?.on("data", take);
  // Whatever it left behind ends with it, what watches over it too.
  child.on("exit", () => child.pid !== undefined && killGroup(child.pid));
  const code = await new Promise<number | null>((resolve) => {
    child.on("error", (error) => {
      output += `\n${error.message}`;
      resolve(null);
    });
    child.on("close", resolve);
  });
  options.signal.removeEventListener("abort", stop);
  if (partial) options.log(partial);
  options.signal.throwIfAborted();
  return { code, output };
}

/** Runs a command whose output is only for us. */
export const runQuietly = (command: string, args: readonly string[], signal: AbortSignal): Promise<Outcome> =>
  runLogged(command, args, { log: () => {}, signal });

const pidOf = (identity: string): number => Number.parseInt(identity, 10);

function startTime(pid: number): string | undefined {
  if (!Number.isInteger(pid) || pid <= 0) return undefined;
  if (process.platform !== "linux") return startTimeFromPs(pid);
  try {
    // The name in parentheses may hold spaces; state is field 3, start time field 22 (clock ticks since boot).
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" || fields[0] === "X" ? undefined : fields[19];
  } catch {
    return undefined;
  }
}

function startTimeFromPs(pid: number): string | undefined {
  const { status, stdout } = spawnSync("ps", ["-o", "stat=,lstart=", "-p", String(pid)], {
    encoding: "utf8",
  });
  const [state = "", ...started] = stdout.trim().split(/\s+/);
  return status !== 0 || state.startsWith("Z") ? undefined : started.join("-");
}

function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch {
    // Already gone.
  }
}

function groupExists(pid: number): boolean {
  try {
    process.kill(-pid, 0);
    return true;
  } catch {
    return false;
  }
}
