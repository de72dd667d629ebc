/** Which engine the verifier runs, and what it needs for that. */
import { ensureHuggingFaceFolder } from "../models/huggingface-folder.ts";
import { ensureVllmPython } from "../models/vllm-env.ts";
import { StartError } from "./errors.ts";
import type { DataFolder } from "./paths.ts";
import type { PreparedTarget } from "./target.ts";

export const ENGINES = ["onnx", "vllm"] as const;
export type EngineName = (typeof ENGINES)[number];

/** ENGINE as `npm start` finds it. Throws StartError. */
export function readEngine(env: NodeJS.ProcessEnv = process.env): EngineName {
  const name = env.ENGINE ?? "onnx";
  const engine = ENGINES.find((known) => known === name);
  if (!engine) throw new StartError(`ENGINE=${name}: expected ${ENGINES.join(" or ")}`);
  return engine;
}

/**
 * More of the verifier's environment. With vllm an environment of Python is made, of vLLM's CPU build, unless
 * VLLM_PYTHON names one: that is how a GPU's is used.
 */
export async function engineVariables(
  engine: EngineName,
  target: PreparedTarget,
  data: DataFolder,
  say: (line: string) => void,
): Promise<Record<string, string>> {
  if (engine === "onnx") return { ENGINE: engine };
  const python = process.env.VLLM_PYTHON ?? (await ensureVllmPython(data, say));
  const folder = await ensureHuggingFaceFolder(data, target.folder, python, say);
  return { ENGINE: engine, VLLM_PYTHON: python, TARGET_DIR: folder, TARGET_ID: target.id };
}
