/** The real verification service as a process of its own, for tests. */
import { type ChildProcess, spawn } from "node:child_process";
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

/** Starts it on a free port and waits until it is ready; rejects with its last words. */
export async function startVerifier(
  targetFolder: string,
  env: Record<string, string> = {},
): Promise<VerifierProcess> {
  const child = spawn(NODE, [join(ROOT, "gpu-service/verify/main.ts")], {
    env: {
      ...process.env,
      VERIFY_PORT: "0",
      TARGET_DIR: targetFolder,
      FORMAT: "int8",
      LINK_KEYS: JSON.stringify([LINK_KEY]),
      ...env,
    },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exited = new Promise<number | null>((resolve) => child.once("exit", resolve));
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
