/** A Ray cluster of this machine alone: its head, and a dashboard that takes jobs. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { endGroup, processIdentity } from "../../gpu-service/training/launchers/process.ts";
import { freePort } from "../../infra/start/ports.ts";

const READY_MS = 240_000;
/** Lives until its input ends: whoever started it is done, or gone. */
const HEAD = `
import ray, sys
dashboard, cpus, folder = sys.argv[1:]
ray.init("local", num_cpus=int(cpus), include_dashboard=True, dashboard_port=int(dashboard), _temp_dir=folder,
         object_store_memory=100_000_000, log_to_driver=False)
sys.stdin.read()
`;
/** Its processes are many, and the machine may be small and busy. */
const PATIENCE = {
  RAY_DASHBOARD_STARTUP_TIMEOUT_S: "200",
  RAY_DASHBOARD_SUBPROCESS_MODULE_WAIT_READY_TIMEOUT: "200",
  RAY_agent_register_timeout_ms: "200000",
  RAY_raylet_start_wait_time_s: "200",
};

export type Head = { address: string; python: string; stop(): Promise<void> };

/** `venv`: with requirements-ray.txt. `cpus`: that it believes to have, whatever the machine has. */
export async function startHead(venv: string, cpus: number): Promise<Head> {
  const folder = mkdtempSync(join(tmpdir(), "ray-"));
  const log = join(folder, "log");
  const dashboard = await freePort();
  const output = openSync(log, "a");
  const child = spawn(join(venv, "bin/python"), ["-c", HEAD, String(dashboard), String(cpus), folder], {
    detached: true,
    stdio: ["pipe", output, output],
    env: { ...process.env, ...PATIENCE, PATH: `${venv}/bin:${process.env.PATH}` },
  });
  const address = `http://127.0.0.1:${dashboard}`;
  const stop = () => end(child, folder);
  for (const deadline = Date.now() + READY_MS; Date.now() < deadline; await sleep(200)) {
    if (child.exitCode !== null) break;
    const version = await fetch(`${address}/api/version`).catch(() => null);
    // Jobs are taken by an agent that comes up after the dashboard.
    if (version?.ok && (await fetch(`${address}/api/jobs/`).catch(() => null))?.ok) {
      return { address, python: join(venv, "bin/python"), stop };
    }
  }
  const words = readFileSync(log, "utf8").slice(-4_000);
  await stop();
  throw new Error(`Ray is not ready:\n${words}`);
}

async function end(child: ChildProcess, folder: string): Promise<void> {
  const identity = child.pid === undefined ? undefined : processIdentity(child.pid);
  const ended = child.exitCode === null && child.signalCode === null ? once(child, "exit") : undefined;
  // Ray's own processes are in the group that it leads.
  if (identity) await endGroup(identity, 10_000);
  await ended;
  rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
}
