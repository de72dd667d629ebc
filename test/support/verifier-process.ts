/** The real verification service as a process of its own, for tests. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { NODE, ROOT } from "../../infra/start/paths.ts";

export const LINK_KEY = { id: "test", secret: "a-secret-of-this-test-and-32-bytes" };

export type VerifierProcess = {
  port: number;
  numerics: string;
  tokenizer: string;
  target: string;
  vocabSize: number;
  /** Exit code after SIGTERM. */
  stop(): Promise<number | null>;
  child: ChildProcess;
};

/**
 * Starts it on a free port and waits until it is ready; rejects with its last words.
 *
 * `stepMs`: every step lasts so long, and further rows cost nothing. Whatever depends on when a hint, a cancel or a
 * signal arrives needs it: the tiny target alone may be done by then.
 */
export async function startVerifier(
  targetFolder: string,
  env: Record<string, string> = {},
  stepMs?: number,
): Promise<VerifierProcess> {
  const pace = stepMs === undefined ? undefined : writePace(stepMs);
  const child = spawn(NODE, [join(ROOT, "gpu-service/verify/main.ts")], {
    env: {
      ...process.env,
      VERIFY_PORT: "0",
      TARGET_DIR: targetFolder,
      FORMAT: "int8",
      LINK_KEYS: JSON.stringify([LINK_KEY]),
      ...(pace && { PACE_FILE: pace.file }),
      ...env,
    },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exited = new Promise<number | null>((resolve) => child.once("exit", resolve));
  void exited.then(() => pace && rmSync(pace.folder, { recursive: true }));
  const found: Record<string, unknown> = {};
  let last = "";
  const ready = (async () => {
    for await (const line of createInterface({ input: child.stdout! })) {
      last = line;
      const entry = JSON.parse(line);
      Object.assign(found, entry);
      if (entry.msg === "ready") return;
    }
    throw new Error(`the verifier ended before it was ready: ${last}`);
  })();
  await ready;
  child.stdout!.resume();
  return {
    port: Number(found.port),
    numerics: String(found.numerics),
    tokenizer: String(found.tokenizer),
    target: String(found.target),
    vocabSize: Number(found.vocabSize),
    child,
    stop() {
      child.kill("SIGTERM");
      return exited;
    },
  };
}

function writePace(stepMs: number): { folder: string; file: string } {
  const folder = mkdtempSync(join(tmpdir(), "outrider-pace-"));
  const file = join(folder, "pace.json");
  const points = [1, 100].map((rows) => ({ rows, ms: stepMs }));
  writeFileSync(file, JSON.stringify({ label: `${stepMs} ms a step`, points }));
  return { folder, file };
}
