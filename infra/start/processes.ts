/**
 * Child processes that never outlive us.
 *
 * Each child leads a process group of its own, so that stopping it stops what it started too. It enters its group
 * in a list before anything else; a guard (a shell at the end of a pipe) ends the groups of that list if this
 * process dies without a word.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { StartError } from "./errors.ts";
import { ROOT } from "./paths.ts";

const STOP_GRACE_MS = 5_000;
const POLL_MS = 50;
const TAIL_LINES = 25;

export type Command = {
  name: string;
  command: string;
  args: string[];
  env?: Record<string, string>;
};
export type Exit = { name: string; reason: string };

export class Processes {
  #logs: string;
  #groups: string;
  #running = new Map<string, ChildProcess>();
  #commands = new Map<string, Command>();
  #guard: ChildProcess;
  #stopping = false;
  #restarted = new Set<ChildProcess>();
  #reportExit!: (exit: Exit) => void;
  /** Settles when a child ends that nobody asked to end. */
  readonly unexpectedExit: Promise<Exit> = new Promise((resolve) => {
    this.#reportExit = resolve;
  });

  constructor(logs: string) {
    this.#logs = logs;
    this.#groups = join(logs, `groups-${process.pid}`);
    writeFileSync(this.#groups, "");
    this.#guard = spawn("sh", ["-c", GUARD, this.#groups], {
      detached: true,
      stdio: ["pipe", "ignore", "ignore"],
    });
    this.#guard.stdin?.on("error", () => {});
    this.#guard.unref();
  }

  /** Starts a child; its output goes to `<name>.log`, the log of the run before to `<name>.log.1`. */
  start(wanted: Command): void {
    const { name, command, args, env } = wanted;
    this.#commands.set(name, wanted);
    if (this.#stopping) throw new StartError(`${name}: not started, the system is stopping`);
    const log = this.logPath(name);
    rmSync(`${log}.1`, { force: true });
    try {
      renameSync(log, `${log}.1`);
    } catch {
      // The first run has no log before it.
    }
    const output = openSync(log, "a", 0o600);
    const child = spawn("sh", ["-c", ENTER_GROUP, this.#groups, command, ...args], {
      cwd: ROOT,
      env: { ...process.env, ...env },
      detached: true,
      stdio: ["ignore", output, output],
    });
    closeSync(output);
    this.#running.set(name, child);
    const ended = (how: string) => this.#restarted.has(child) || this.#ended(name, how);
    child.once("error", (error) => ended(error.message));
    child.once("exit", (code, signal) => ended(signal ? `by ${signal}` : `with code ${code}`));
  }

  /** Kills a child's group without a word, as a crash would, and starts the child again. */
  async restart(name: string): Promise<void> {
    const [child, command] = [this.#running.get(name), this.#commands.get(name)];
    if (!child?.pid || !command) throw new Error(`${name}: was never started`);
    this.#restarted.add(child);
    if (signalGroup(child.pid, "SIGKILL")) {
      while (signalGroup(child.pid, 0)) await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
    this.start(command);
  }

  isRunning(name: string): boolean {
    const child = this.#running.get(name);
    return child !== undefined && child.exitCode === null && child.signalCode === null;
  }

  /** Process ids of the group leaders. */
  pids(): number[] {
    return [...this.#running.values()].flatMap((child) => child.pid ?? []);
  }

  /** Process id of one group's leader; undefined: there was no such child. */
  pid(name: string): number | undefined {
    return this.#running.get(name)?.pid;
  }

  logPath(name: string): string {
    return join(this.#logs, `${name}.log`);
  }

  /** The last lines that a child wrote. */
  tail(name: string): string {
    try {
      return readFileSync(this.logPath(name), "utf8").trimEnd().split("\n").slice(-TAIL_LINES).join("\n");
    } catch {
      return "(no log)";
    }
  }

  /** Ends every group: SIGTERM, and SIGKILL for what is left after the grace. Safe to call twice. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await Promise.all(this.pids().map(stopGroup));
    this.#guard.stdin?.end("done\n");
    rmSync(this.#groups, { force: true });
  }

  #ended(name: string, how: string): void {
    if (!this.#stopping) this.#reportExit({ name, reason: `${name} ended ${how}` });
  }
}

async function stopGroup(leader: number): Promise<void> {
  const deadline = Date.now() + STOP_GRACE_MS;
  while (signalGroup(leader, "SIGTERM")) {
    for (let waited = 0; waited < 1_000; waited += POLL_MS) {
      if (!signalGroup(leader, 0)) return;
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
    if (Date.now() >= deadline) {
      signalGroup(leader, "SIGKILL");
      return;
    }
  }
}

/** False when the group is gone. */
function signalGroup(leader: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(-leader, signal);
  } catch {
    return false;
  }
}

/** Runs a command under the id of this shell, which its list knows before the command begins. */
const ENTER_GROUP = 'echo $$ >> "$0"; exec "$@"';

/** A line of input means that all was stopped in good order, the end of input that we died. */
const GUARD = `
trap '' INT TERM HUP
read -r _ && exit 0
for signal in TERM TERM TERM KILL; do
  while read -r group; do kill -s $signal -- "-$group" 2>/dev/null; done < "$0"
  sleep 1
done
rm -f "$0"
`;
