/** What the tests need: the kernel, the models, the Python environments. Everything is made once and found again. */
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ensurePythonEnv, type PythonEnvWish } from "../../gpu-service/training/launchers/python-env.ts";
import { buildKernel } from "../build/kernel.ts";
import { ensureDefaultModel } from "../models/default-model.ts";
import { ensureConvertPython } from "../models/python-env.ts";
import { ensureTinyModel } from "../models/tiny-model.ts";
import { StartError } from "../start/errors.ts";
import { type DataFolder, openDataFolder, ROOT } from "../start/paths.ts";
import { run } from "./run.ts";
import type { Suite } from "./suite-names.ts";

const TRAINER_REQUIREMENTS = join(ROOT, "gpu-service/training/trainer/requirements-train.txt");
const CONVERTER_REQUIREMENTS = join(ROOT, "gpu-service/training/trainer/requirements-convert.txt");
const CORPUS_REQUIREMENTS = join(ROOT, "gpu-service/training/trainer/requirements-corpus.txt");
const TEST_REQUIREMENTS = join(ROOT, "test/training/requirements.txt");
const TOOL_REQUIREMENTS = join(ROOT, "infra/check/requirements.txt");

/** Returns the Python that the trainer's checks and tests run on. */
export async function setUp(
  suites: readonly Suite[],
  say: (line: string) => void,
): Promise<{ python: string }> {
  const data = openDataFolder();
  if (await buildKernel()) say("draft kernel built");
  say("converter's Python environment ...");
  await ensureConvertPython(data, say);
  say("models ...");
  await ensureTinyModel(data);
  if (suites.includes("service") || suites.includes("training"))
    await ensureDefaultModel(data, undefined, say);
  if (!suites.includes("training") && !suites.includes("lint")) return { python: "python3" };
  say("trainer's Python environment (PyTorch: a few minutes, once) ...");
  return { python: await ensureTrainerPython(data, say) };
}

/** The environment that the training service makes for its jobs, with the tools of the checks added. */
export async function ensureTrainerPython(data: DataFolder, say: (line: string) => void): Promise<string> {
  const folder = data.trainerVenv;
  const shell = { log: say, step: () => {}, signal: new AbortController().signal };
  const python = await ensurePythonEnv({ folder, requirements: TRAINER_REQUIREMENTS, ...wishes() }, shell);
  const stampPath = join(folder, ".outrider-check-stamp");
  const hash = createHash("sha256");
  for (const path of [TOOL_REQUIREMENTS, TEST_REQUIREMENTS, CONVERTER_REQUIREMENTS, CORPUS_REQUIREMENTS])
    hash.update(readFileSync(path));
  const wanted = hash.digest("hex");
  if (existsSync(stampPath) && readFileSync(stampPath, "utf8") === wanted) return python;
  say("pytest, ruff, mypy and what the tests compare with ...");
  const pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", TOOL_REQUIREMENTS];
  if ((await run(python, pip)) !== 0) throw new StartError("The tools of the checks could not be installed.");
  writeFileSync(stampPath, wanted);
  return python;
}

/** The variables that the training service reads too: with other answers the two would make the environment in turns. */
function wishes(): Pick<PythonEnvWish, "python" | "torch" | "torchIndexUrl"> {
  const {
    OUTRIDER_PYTHON: python,
    OUTRIDER_TORCH: torch,
    OUTRIDER_TORCH_INDEX_URL: torchIndexUrl,
  } = process.env;
  if (torch !== undefined && torch !== "cpu" && torch !== "gpu")
    throw new StartError(`OUTRIDER_TORCH=${torch}: expected cpu or gpu`);
  return { python, torch, torchIndexUrl };
}
