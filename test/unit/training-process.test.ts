import { spawn } from "node:child_process";
import { expect, test } from "vitest";
import { runLogged } from "../../gpu-service/training/launchers/process.ts";
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
  await expect.poll(() => isAlive(pid), { timeout: 5_000 }).toBe(false);
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
