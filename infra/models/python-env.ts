/** The small Python environment that converts models: no torch. */
import { join } from "node:path";
import { SetupError } from "../../gpu-service/training/launchers/launcher.ts";
import { ensurePythonEnv } from "../../gpu-service/training/launchers/python-env.ts";
import { StartError } from "../start/errors.ts";
import { type DataFolder, ROOT } from "../start/paths.ts";

const TRAINER = join(ROOT, "gpu-service/training/trainer");
const REQUIREMENTS = join(TRAINER, "requirements-convert.txt");

export type Python = {
  path: string;
  /** Set for every run: finds the package `checkpoints`, and writes no bytecode into the repository. */
  env: NodeJS.ProcessEnv;
};

/** The environment's Python. Throws StartError for a missing or old Python, no venv module, no network, a full disk. */
export async function ensureConvertPython(
  data: DataFolder,
  say: (line: string) => void = console.log,
): Promise<Python> {
  const wish = {
    folder: join(data.root, "venv-convert"),
    requirements: REQUIREMENTS,
    python: process.env.OUTRIDER_PYTHON,
  };
  const shell = {
    log: () => {},
    step: (step: number) => {
      if (step === 1) say("Making the Python environment that converts models (half a minute, once) ...");
    },
    signal: new AbortController().signal,
  };
  try {
    const path = await ensurePythonEnv(wish, shell);
    return { path, env: { PYTHONPATH: TRAINER, PYTHONDONTWRITEBYTECODE: "1", PYTHONUNBUFFERED: "1" } };
  } catch (error) {
    if (error instanceof SetupError) throw new StartError(error.message);
    throw error;
  }
}
