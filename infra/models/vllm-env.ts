/** The Python environment of `ENGINE=vllm` on a CPU: several GB, made once. For tests and benchmarks; GPUs have images. */
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { SetupError } from "../../gpu-service/training/launchers/launcher.ts";
import { ensurePythonEnv } from "../../gpu-service/training/launchers/python-env.ts";
import { StartError } from "../start/errors.ts";
import { type DataFolder, ROOT } from "../start/paths.ts";
import { run } from "./command.ts";

export const PLUGIN = join(ROOT, "gpu-service/verify/engines/vllm/python");
const REQUIREMENTS = join(PLUGIN, "requirements-cpu.txt");
/** vLLM's CPU build pulls these in, in builds that do not fit torch's: it runs without them, and not with them. */
const UNFITTING = ["torchvision", "torchaudio", "torchcodec", "triton"];
const TIMEOUT_MS = 20 * 60_000;

/** Of an environment that `ensureVllmPython` made, or one of your own that OUTRIDER_VLLM_PYTHON names. */
export const vllmPython = (data: DataFolder): string =>
  process.env.OUTRIDER_VLLM_PYTHON ?? join(data.vllmVenv, "bin/python");

/** Throws StartError: no fitting Python, no network, a pin that no index offers, a full disk, too slow. */
export async function ensureVllmPython(data: DataFolder, say: (line: string) => void): Promise<string> {
  if (process.env.OUTRIDER_VLLM_PYTHON) return process.env.OUTRIDER_VLLM_PYTHON;
  const folder = data.vllmVenv;
  const wish = {
    folder,
    requirements: REQUIREMENTS,
    torch: "cpu",
    python: process.env.OUTRIDER_PYTHON,
  } as const;
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  const step = (step: number) =>
    step === 1 && say("Making vLLM's Python environment (3.5 GB, minutes, once) ...");
  try {
    const python = await ensurePythonEnv(wish, { log: () => {}, step, signal });
    await finish(python, join(folder, ".outrider-plugin-stamp"));
    return python;
  } catch (error) {
    if (signal.aborted) throw new StartError(`${folder} was not made within ${TIMEOUT_MS / 60_000} minutes.`);
    if (error instanceof SetupError) throw new StartError(error.message);
    throw error;
  }
}

/** Takes out what does not fit, and installs the plugin as a link to this checkout. */
async function finish(python: string, stamp: string): Promise<void> {
  const wanted = createHash("sha256")
    .update(PLUGIN)
    .update(readFileSync(REQUIREMENTS))
    .update(readFileSync(join(PLUGIN, "pyproject.toml")))
    .digest("hex");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === wanted) return;
  const pip = ["-m", "pip", "--disable-pip-version-check", "--no-input", "--quiet"];
  const plugin = ["install", "--no-deps", "--no-build-isolation", "--editable", PLUGIN];
  for (const args of [["uninstall", "--yes", ...UNFITTING], plugin]) {
    const { ok, output } = await run(python, [...pip, ...args]);
    if (!ok) throw new StartError(`pip ${args.join(" ")}: ${output.trim().split("\n").at(-1)}`);
  }
  writeFileSync(stamp, wanted);
}
