/** The verification service with the tiny target in vLLM on a CPU. */
import { join } from "node:path";
import { vllmPython } from "../../infra/models/vllm-env.ts";
import { openDataFolder, ROOT } from "../../infra/start/paths.ts";
import { startVerifier, type VerifierProcess } from "../support/verifier-process.ts";

export const TINY = join(ROOT, "infra/models/tiny/target");

/** f32: exact on a CPU. The price of a row is given, so that what is tried does not depend on the machine's mood. */
export const TINY_SETTINGS: Readonly<Record<string, string>> = {
  VLLM_DTYPE: "float32",
  VLLM_EAGER: "1",
  VLLM_ROW_PRICE_PERCENT: "5",
  SLOTS: "4",
  QUEUE_LIMIT: "8",
  CONTEXT: "512",
};

export const startTiny = (env: Record<string, string> = {}): Promise<VerifierProcess> =>
  startVerifier(TINY, {
    ...TINY_SETTINGS,
    ENGINE: "vllm",
    TARGET_ID: "tiny",
    VLLM_PYTHON: vllmPython(openDataFolder()),
    ...env,
  });
