/**
 * A Python environment made from a pinned requirements file: once, and again when that file changes.
 *
 * The stamp is written last, so an environment whose making was cut off is made anew.
 */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { withFileLock } from "./file-lock.ts";
import { findPython } from "./find-python.ts";
import { SetupError } from "./launcher.ts";
import { installTorch, pip, requireDisk, type SetupShell } from "./pip.ts";
import { explainPip } from "./pip-errors.ts";
import { runLogged, runQuietly } from "./process.ts";
import { chooseTorchBuild, NEEDED_DISK_MIB, splitTorchPin, type TorchBuild } from "./torch-build.ts";

export type { SetupShell } from "./pip.ts";

const LIGHT_DISK_MIB = 600;

export type PythonEnvWish = {
  /** Where the environment lies or is made. */
  folder: string;
  /** Path of the requirements file, exact pins. A line `torch==X` chooses its build by itself. */
  requirements: string;
  /** A certain interpreter; otherwise the first on the PATH that is new enough. */
  python?: string | undefined;
  torch?: "cpu" | "gpu" | undefined;
  torchIndexUrl?: string | undefined;
};
/** Returns the environment's interpreter. Throws SetupError that says what is missing. */
export async function ensurePythonEnv(wish: PythonEnvWish, shell: SetupShell): Promise<string> {
  const plan = await planEnv(wish, shell);
  if (isReady(plan)) return plan.python;
  mkdirSync(dirname(wish.folder), { recursive: true });
  const onWait = () => shell.log(`Waiting for another process that makes ${wish.folder}`);
  await withFileLock(`${wish.folder}.lock`, { signal: shell.signal, onWait }, async () => {
    if (!isReady(plan)) await makeEnv(wish, plan, shell);
  });
  return plan.python;
}

type Plan = {
  python: string;
  stampPath: string;
  /** What the stamp says when the environment is as it should be. */
  stamp: string;
  torch: { pin: string; choice: TorchBuild } | undefined;
  /** The other requirements, one a line. */
  others: string;
};

async function planEnv(wish: PythonEnvWish, shell: SetupShell): Promise<Plan> {
  const text = readFileSync(wish.requirements, "utf8");
  const { torch: pin, others } = splitTorchPin(text);
  const torch = pin === undefined ? undefined : { pin, choice: await chooseBuild(wish, shell) };
  return {
    python: join(wish.folder, "bin", "python"),
    stampPath: join(wish.folder, ".outrider-stamp"),
    stamp: `${createHash("sha256").update(text).digest("hex")} ${torch?.choice.build ?? "none"}\n`,
    torch,
    others,
  };
}

const isReady = ({ python, stampPath, stamp }: Plan): boolean =>
  existsSync(python) && existsSync(stampPath) && readFileSync(stampPath, "utf8") === stamp;

async function makeEnv(wish: PythonEnvWish, plan: Plan, shell: SetupShell): Promise<void> {
  const { python, torch } = plan;
  const base = await findPython(wish.python, shell.signal);
  requireDisk(wish.folder, torch ? NEEDED_DISK_MIB[torch.choice.build] : LIGHT_DISK_MIB);
  shell.step(1, 3);
  await makeVenv(base, wish.folder, shell);
  const listed = join(wish.folder, "requirements.txt");
  writeFileSync(listed, plan.others);
  shell.step(2, 3);
  if (torch) {
    const { build, reason } = torch.choice;
    shell.log(`torch: the ${build.toUpperCase()} build (${reason})`);
    // The other pins hold for what torch itself brings along, too.
    const options = ["-c", listed, ...(wish.torchIndexUrl ? ["--extra-index-url", wish.torchIndexUrl] : [])];
    await installTorch(python, torch.pin, build, options, shell);
  }
  shell.step(3, 3);
  await pip(python, ["-r", listed], shell);
  writeFileSync(plan.stampPath, plan.stamp);
}

async function chooseBuild(wish: PythonEnvWish, shell: SetupShell): Promise<TorchBuild> {
  const hasNvidia =
    wish.torch === undefined && (await runQuietly("nvidia-smi", ["-L"], shell.signal)).code === 0;
  return chooseTorchBuild({ wanted: wish.torch, hasNvidia, platform: process.platform });
}

async function makeVenv(base: string, folder: string, shell: SetupShell): Promise<void> {
  rmSync(folder, { recursive: true, force: true });
  shell.log(`Making the Python environment ${folder}`);
  const { code, output } = await runLogged(base, ["-m", "venv", folder], shell);
  if (code === 0) return;
  if (/ensurepip|No module named venv/.test(output)) {
    throw new SetupError(
      `${base} cannot make environments: install its venv package (Debian: python3-venv).`,
    );
  }
  throw new SetupError(`${base} -m venv ${folder}: ${explainPip(output)}`);
}
