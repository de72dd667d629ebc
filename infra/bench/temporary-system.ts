/** A system of its own for a measurement or a test: free ports, a data folder that is gone afterwards, shared models. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openDataFolder } from "../start/paths.ts";
import { freePorts } from "../start/ports.ts";
import { type System, type SystemOptions, startSystem } from "../start/system.ts";
import { paceFile, type Regime } from "./paced/regime.ts";

export type TemporaryOptions = Omit<SystemOptions, "data" | "ports"> & {
  /** Paces the verifier: its steps last as long as those of such a machine. */
  regime?: Regime;
};

/** Ends with `stop()`; throws what startSystem throws. */
export async function startTemporarySystem({ regime, ...options }: TemporaryOptions): Promise<System> {
  const shared = openDataFolder();
  const root = mkdtempSync(join(tmpdir(), "outrider-"));
  const forget = () => rmSync(root, { recursive: true, force: true, maxRetries: 3 });
  const data = {
    ...openDataFolder(root),
    models: shared.models,
    trainerVenv: shared.trainerVenv,
    vllmVenv: shared.vllmVenv,
    cache: shared.cache,
  };
  try {
    const verifierEnv = { ...options.verifierEnv, ...(regime && writePace(root, regime)) };
    const system = await startSystem({ ...options, verifierEnv, data, ports: await freePorts() });
    return {
      ...system,
      async stop() {
        await system.stop();
        forget();
      },
    };
  } catch (error) {
    forget();
    throw error;
  }
}

function writePace(folder: string, regime: Regime): { PACE_FILE: string } {
  const file = join(folder, "pace.json");
  writeFileSync(file, paceFile(regime));
  return { PACE_FILE: file };
}
