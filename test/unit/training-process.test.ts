import { spawn } from "node:child_process";
import { expect, test } from "vitest";
import { endGroup, processIdentity, runLogged } from "../../gpu-service/training/launchers/process.ts";
import { NODE, ROOT } from "../../infra/start/paths.ts";

const signal = new AbortController().signal;

test("a command's lines reach the log, its exit code and its output come back", async () => {
  const lines: string[] = [];
  const outcome = await runLogged("sh", ["-c", "echo one; echo two >&2; exit 3"], {
    log: (line) => lines.push(line),
    signal,
  });
  expect(outcome.code).toBe(3);
  expect(lines.sort()).toEqual(["one", "two"]);
  expect(outcome.output).toContain("two");
});

test("an abort ends the command with its children", async () => {
  const stop = new AbortController();
  const started = performance.now();
  const running = runLogged("sh", ["-c", "echo ready; sleep 30 & wait"], {
    log: () => stop.abort(new Error("enough")),
    signal: stop.signal,
  });
  await expect(running).rejects.toThrow("enough");
  expect(performance.now() - started).toBeLessThan(10_000);
});

/** Runs `call` in a process that exits at the command's first line; the command's first line is its process id. */
const OWNERS: [string, string][] = [
  [
    "gpu-service/training/launchers/process.ts",
    `runLogged("sh", ["-c", "echo $$; sleep 30 & wait"], { log: (line) => { console.log(line); process.exit(130); },
     signal: new AbortController().signal })`,
  ],
  [
    "infra/models/command.ts",
    `run("sh", ["-c", "echo $$; exec sleep 30"], { show: true }); setTimeout(() => process.exit(130), 500)`,
  ],
];

test("a command ends with its children when the process that runs it is killed", async () => {
  const script = `import { runLogged } from ${JSON.stringify(`${ROOT}/gpu-service/training/launchers/process.ts`)};
    runLogged("sh", ["-c", "sleep 30 & echo $! && wait"], { log: console.log, signal: new AbortController().signal })`;
  const owner = spawn(NODE, ["--input-type=module", "-e", script], { stdio: ["ignore", "pipe", "inherit"] });
  const pid = Number(await new Promise((resolve) => owner.stdout.once("data", resolve)));
  expect(isRunning(pid)).toBe(true);
  owner.kill("SIGKILL");
  await expect.poll(() => isRunning(pid), { timeout: 10_000 }).toBe(false);
});

test("a group is ended whose leader is gone, but not one that has taken its number", async () => {
  const leader = spawn("sh", ["-c", "sleep 30 & echo $! && wait"], {
    detached: true,
    stdio: ["ignore", "pipe", "inherit"],
  });
  const child = Number(await new Promise((resolve) => leader.stdout.once("data", resolve)));
  const identity = processIdentity(leader.pid!)!;
  await endGroup(`${leader.pid}@another-start`);
  expect(isRunning(child)).toBe(true);
  process.kill(leader.pid!, "SIGKILL");
  await new Promise((resolve) => leader.once("exit", resolve));
  expect(isRunning(child)).toBe(true);
  await endGroup(identity);
  await expect.poll(() => isRunning(child), { timeout: 10_000 }).toBe(false);
});

test.each(OWNERS)("a command of %s does not outlive the process that runs it", async (path, call) => {
  const script = `import * as module from ${JSON.stringify(`${ROOT}/${path}`)}; const { run, runLogged } = module; ${call}`;
  const owner = spawn(NODE, ["--input-type=module", "-e", script], { stdio: ["ignore", "pipe", "inherit"] });
  let output = "";
  owner.stdout.on("data", (chunk) => {
    output += chunk;
  });
  expect(await new Promise((resolve) => owner.once("exit", resolve))).toBe(130);
  const pid = Number(output.trim());
  expect(pid).toBeGreaterThan(0);
  await expect.poll(() => isRunning(pid), { timeout: 10_000 }).toBe(false);
});

/** False for one that has ended, even where nobody has asked about it yet. */
const isRunning = (pid: number): boolean => processIdentity(pid) !== undefined;
