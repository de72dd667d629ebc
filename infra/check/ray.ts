/** The suite `ray`: the launcher `ray` with a real cluster of this machine alone. */
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ensurePythonEnv } from "../../gpu-service/training/launchers/python-env.ts";
import { type DataFolder, openDataFolder, ROOT } from "../start/paths.ts";
import { type Counts, countVitest } from "./counts.ts";
import { withReport } from "./report.ts";
import { run } from "./run.ts";
import { ensureTrainerPython } from "./setup.ts";

const REQUIREMENTS = join(ROOT, "gpu-service/training/trainer/requirements-ray.txt");
const CONFIG = join(ROOT, "test/ray/vitest.config.ts");

/** Makes the environment first (700 MB, once). Throws where that cannot be done: it is never skipped. */
export async function runRay(say: (line: string) => void): Promise<Counts> {
  process.env.RAY_VENV = await ensureRayVenv(openDataFolder(), say);
  return withReport("report.json", countVitest, (report) =>
    run("vitest", [
      ...["run", "--config", CONFIG, "--root", ROOT],
      ...["--reporter=default", "--reporter=json", `--outputFile=${report}`],
    ]),
  );
}

/** Ray, and what the trainer needs from the trainer's own environment: PyTorch is not installed twice. */
async function ensureRayVenv(data: DataFolder, say: (line: string) => void): Promise<string> {
  const trainer = await ensureTrainerPython(data, say);
  const folder = join(data.root, "venv-ray");
  const step = (number: number) =>
    number === 1 && say("Ray's Python environment (a minute or two, once) ...");
  const shell = { log: () => {}, step, signal: new AbortController().signal };
  await ensurePythonEnv({ folder, requirements: REQUIREMENTS, python: trainer }, shell);
  writeFileSync(join(sitePackages(folder), "zz-trainer.pth"), `${sitePackages(data.trainerVenv)}\n`);
  return folder;
}

function sitePackages(venv: string): string {
  const lib = join(venv, "lib");
  const python = readdirSync(lib).find((name) => name.startsWith("python3"));
  if (!python) throw new Error(`${lib}: no Python there`);
  return join(lib, python, "site-packages");
}
