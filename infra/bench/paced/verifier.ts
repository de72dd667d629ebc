/** Real verification services for a benchmark: the tiny target, a process each, ended with the benchmark. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { LinkKey } from "../../../gpu-service/protocol/token.ts";
import { readTarget } from "../../models/target-folder.ts";
import { StartError } from "../../start/errors.ts";
import { openDataFolder } from "../../start/paths.ts";
import { freePorts } from "../../start/ports.ts";
import { Processes } from "../../start/processes.ts";
import { waitUntilReady } from "../../start/ready.ts";
import { verifierCommand } from "../../start/services.ts";
import { prepareTarget } from "../../start/target.ts";
import { paceFile, type Regime } from "./regime.ts";
import { type BenchTarget, CONTEXT } from "./session.ts";

const READY_TIMEOUT_MS = 60_000;

export type BenchVerifiers = {
  ports: number[];
  key: LinkKey;
  target: BenchTarget;
  stop(): Promise<void>;
};

/** `count` services on the tiny target; `regime`: paced so. Throws StartError. */
export async function startTinyVerifiers(
  count: number,
  regime: Regime | undefined,
  env: Record<string, string> = {},
  key: LinkKey = newLinkKey(),
): Promise<BenchVerifiers> {
  const root = mkdtempSync(join(tmpdir(), "outrider-bench-"));
  const processes = new Processes(root);
  const stop = async () => {
    await processes.stop();
    rmSync(root, { recursive: true, force: true, maxRetries: 3 });
  };
  try {
    const target = await prepareTarget("tiny", openDataFolder(), () => {});
    const manifest = readTarget(target.folder);
    if (!manifest) throw new StartError(`${target.folder} has no manifest`);
    const { id, tokenizer_sha256, vocab_size } = manifest;
    const pace = join(root, "pace.json");
    if (regime) writeFileSync(pace, paceFile(regime));
    const ports = await Promise.all(Array.from({ length: count }, () => freePorts()));
    const starting = ports.map(async (free, i) => {
      const command = verifierCommand(target, free, { link: key, admin: "", training: "" });
      const name = `verifier-${i}`;
      const more = { CONTEXT: String(CONTEXT), ...(regime && { PACE_FILE: pace }), ...env };
      processes.start({ ...command, name, env: { ...command.env, ...more } });
      const url = `http://127.0.0.1:${free.verifier}/readyz`;
      await waitUntilReady(processes, { name, url, timeoutMs: READY_TIMEOUT_MS });
    });
    await Promise.all(starting);
    return {
      ports: ports.map(({ verifier }) => verifier),
      key,
      target: { id, tokenizer: tokenizer_sha256, vocabulary: vocab_size },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Steps so far, and how many of them took longer than their pace. */
export async function readPaceKept(port: number): Promise<{ steps: number; overruns: number }> {
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  const counter = (name: string) => {
    const value = new RegExp(`^outrider_verify_${name} (\\S+)$`, "m").exec(text)?.[1];
    if (value === undefined) throw new Error(`the verifier's /metrics have no ${name}`);
    return Number(value);
  };
  return { steps: counter("steps_total"), overruns: counter("paced_overruns_total") };
}

export const newLinkKey = (): LinkKey => ({
  id: "bench",
  secret: crypto.randomUUID() + crypto.randomUUID(),
});
