/** Installing with pip: what it says in the log, what went wrong in words. */
import { statfsSync } from "node:fs";
import { dirname } from "node:path";
import { SetupError } from "./launcher.ts";
import { explainPip, isNotOffered } from "./pip-errors.ts";
import { type Outcome, runLogged } from "./process.ts";
import { NEEDED_DISK_MIB, torchRequirements } from "./torch-build.ts";

export type SetupShell = {
  /** Every line that pip prints, and what is being done. */
  log(line: string): void;
  /** Which of how many steps has begun. */
  step(step: number, steps: number): void;
  signal: AbortSignal;
};

/** Throws SetupError where the disk has no room for the folder. */
export function requireDisk(folder: string, neededMib: number): void {
  const { bavail, bsize } = statfsSync(dirname(folder));
  const freeMib = Math.floor((bavail * bsize) / 2 ** 20);
  if (freeMib < neededMib) {
    throw new SetupError(
      `The disk of ${dirname(folder)} has ${freeMib} MiB left; ${folder} needs ${neededMib} MiB.`,
    );
  }
}

/** The build that was chosen, or, with a warning, the only one that there is. */
export async function installTorch(
  python: string,
  pin: string,
  build: "cpu" | "gpu",
  options: readonly string[],
  shell: SetupShell,
): Promise<void> {
  const [first, fallback] = torchRequirements(pin, build, process.platform);
  if (first === undefined) return;
  const outcome = await runPip(python, [...options, first], shell);
  if (outcome.code === 0) return;
  if (fallback === undefined || !isNotOffered(outcome.output)) {
    throw new SetupError(`pip install ${first}: ${explainPip(outcome.output)}`);
  }
  shell.log(
    `WARNING: no index that pip is configured with offers ${first}. Installing ${fallback} instead: on Linux that is` +
      " the CUDA build, several GB to fetch. OUTRIDER_TORCH_INDEX_URL names an index that has the CPU build.",
  );
  requireDisk(dirname(python), NEEDED_DISK_MIB.gpu);
  await pip(python, [...options, fallback], shell);
}

/** Throws SetupError that says what is missing. */
export async function pip(python: string, args: string[], shell: SetupShell): Promise<void> {
  const { code, output } = await runPip(python, args, shell);
  if (code !== 0) throw new SetupError(`pip install ${args.join(" ")}: ${explainPip(output)}`);
}

const runPip = (python: string, args: string[], shell: SetupShell): Promise<Outcome> =>
  runLogged(python, ["-m", "pip", "install", "--no-input", "--progress-bar", "off", ...args], shell);
