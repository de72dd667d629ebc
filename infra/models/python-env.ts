/** The small Python environment that converts models: no torch, made once, made anew when its pins change. */
import { createHash } from "node:crypto";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { StartError } from "../start/errors.ts";
import { type DataFolder, ROOT } from "../start/paths.ts";
import { explain, run } from "./command.ts";

const OLDEST = [3, 11] as const;
const NAMES = ["python3", "python3.14", "python3.13", "python3.12", "python3.11", "python"];
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
  const place = join(data.root, "venv-convert");
  const stamp = join(place, ".requirements-sha256");
  const python = {
    path: join(place, "bin/python"),
    env: { PYTHONPATH: TRAINER, PYTHONDONTWRITEBYTECODE: "1", PYTHONUNBUFFERED: "1" },
  };
  const wanted = createHash("sha256").update(readFileSync(REQUIREMENTS)).digest("hex");
  const ready = existsSync(stamp) && readFileSync(stamp, "utf8") === wanted;
  if (ready && (await run(python.path, ["-c", ""])).ok) return python;

  const base = await findPython();
  say("Making the Python environment that converts models (half a minute, once) ...");
  rmSync(place, { recursive: true, force: true });
  const made = await run(base, ["-m", "venv", place]);
  if (!made.ok) throw new StartError(`${place} could not be made: ${explain(made.output)}`);
  const pip = [
    "-m",
    "pip",
    "install",
    "--quiet",
    "--disable-pip-version-check",
    "--no-input",
    "--retries",
    "2",
  ];
  const installed = await run(python.path, [...pip, "-r", REQUIREMENTS]);
  if (!installed.ok) {
    throw new StartError(
      `The packages of ${REQUIREMENTS} could not be installed: ${explain(installed.output)}`,
    );
  }
  writeFileSync(stamp, wanted);
  return python;
}

/** A Python of this machine that is new enough and can make environments; OUTRIDER_PYTHON names another. */
export async function findPython(env: NodeJS.ProcessEnv = process.env): Promise<string> {
  const chosen = env.OUTRIDER_PYTHON;
  const refused: string[] = [];
  for (const name of chosen ? [chosen] : NAMES) {
    const asked = await run(name, ["-c", "import sys; print(*sys.version_info[:2])"]);
    if (!asked.ok) continue;
    const [major = 0, minor = 0] = asked.output.trim().split(" ").map(Number);
    if (major !== OLDEST[0] || minor < OLDEST[1]) {
      refused.push(`${name} is Python ${major}.${minor}`);
      continue;
    }
    if ((await run(name, ["-c", "import venv, ensurepip"])).ok) return name;
    refused.push(
      `${name} lacks the venv module (on Debian and Ubuntu: apt install python${major}.${minor}-venv)`,
    );
  }
  const found = refused.length > 0 ? refused.join("; ") : `none of ${chosen ?? NAMES.join(", ")} runs`;
  throw new StartError(
    `Converting models needs Python ${OLDEST.join(".")} or newer: ${found}. ` +
      "Install one, or name one with OUTRIDER_PYTHON=/path/to/python3.",
  );
}
