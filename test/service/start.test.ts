import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { NODE, ROOT } from "../../infra/start/paths.ts";
import { freePorts, type Ports } from "../../infra/start/ports.ts";

const PARTS = /gpu-service\/verify\/main|gpu-service\/training\/main|wrangler|workerd/;

describe("npm start", () => {
  let data: string;
  let ports: Ports;
  let child: ChildProcess | undefined;
  let output: string;

  beforeEach(async () => {
    data = mkdtempSync(join(tmpdir(), "outrider-start-"));
    ports = await freePorts();
    output = "";
  });
  afterEach(async () => {
    child?.kill("SIGTERM");
    await expect.poll(() => partsOf(ports, data), { timeout: 15_000 }).toEqual([]);
    rmSync(data, { recursive: true, force: true, maxRetries: 5 });
  });

  function start(): ChildProcess {
    const env = {
      ...process.env,
      OUTRIDER_DATA: data,
      OUTRIDER_PORT: String(ports.edge),
      OUTRIDER_VERIFIER_PORT: String(ports.verifier),
      OUTRIDER_TRAINING_PORT: String(ports.training),
    };
    child = spawn(NODE, ["infra/start/main.ts", "--tiny"], { cwd: ROOT, env });
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on("data", (chunk) => {
        output += chunk;
      });
    }
    return child;
  }
  const ended = (process: ChildProcess) =>
    new Promise<number | null>((resolve) => process.once("close", (code) => resolve(code)));

  it("says where it is, and leaves no process when it is told to stop", async () => {
    const process = start();
    const end = ended(process);
    await expect.poll(() => output, { timeout: 120_000 }).toContain("Ctrl-C stops everything");
    const address = /address\s+(\S+)/.exec(output)?.[1] ?? "";
    const key = /API key\s+(\S+)/.exec(output)?.[1] ?? "";
    const models = await fetch(`${address}/models`, { headers: { authorization: `Bearer ${key}` } });
    expect(models.status).toBe(200);
    // The very first completion has the draft model.
    const completion = await fetch(`${address}/completions`, {
      method: "POST",
      headers: { authorization: `Bearer ${key}`, "x-outrider-details": "1" },
      body: JSON.stringify({ model: "tiny", prompt: "def ", max_tokens: 8 }),
    });
    expect(await completion.json()).toMatchObject({ outrider: { release: expect.any(String), note: null } });
    expect(partsOf(ports, data).length).toBeGreaterThanOrEqual(3);
    process.kill("SIGTERM");
    expect(await end).toBe(0);
    expect(partsOf(ports, data)).toEqual([]);
  });

  it("leaves no process when it is killed without a word", async () => {
    const process = start();
    await expect.poll(() => partsOf(ports, data).length, { timeout: 60_000 }).toBeGreaterThanOrEqual(2);
    process.kill("SIGKILL");
    await expect.poll(() => partsOf(ports, data), { timeout: 15_000 }).toEqual([]);
  });

  it("names the port that is taken, and how to choose another", async () => {
    const other = createServer().listen(ports.edge, "127.0.0.1");
    try {
      const code = await ended(start());
      expect(code).toBe(1);
      expect(output).toMatch(new RegExp(`Port ${ports.edge} is in use.*OUTRIDER_PORT=\\d+ npm start`, "s"));
    } finally {
      other.close();
    }
  });
});

/** Processes of the system that uses this data folder and these ports. */
function partsOf(ports: Ports, data: string): string[] {
  const mine = [data, `VERIFY_PORT=${ports.verifier}`, `TRAINING_PORT=${ports.training}`];
  const lines = execFileSync("ps", ["axeww", "-o", "pid=,stat=,args="], {
    encoding: "utf8",
    maxBuffer: 1 << 26,
  });
  return lines
    .split("\n")
    .filter(
      (line) => PARTS.test(line) && mine.some((word) => line.includes(word)) && !/^\s*\d+\s+Z/.test(line),
    )
    .filter((line) => !line.includes("infra/start/main.ts"))
    .map((line) => line.slice(0, 120));
}
