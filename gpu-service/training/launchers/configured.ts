/** The launcher that the configuration asks for. */
import { dirname, join } from "node:path";
import type { TrainingConfig } from "../config.ts";
import type { Launcher } from "./launcher.ts";
import { type LocalLauncherOptions, localLauncher } from "./local.ts";
import { ensurePythonEnv } from "./python-env.ts";
import { rayLauncher } from "./ray.ts";

/** `project`: the trainer's package. Its Python environment is made when it is first needed. */
export function trainerOptions(config: TrainingConfig, project: string): LocalLauncherOptions {
  const wish = {
    folder: config.TRAINING_VENV ?? join(dirname(config.TRAINING_DATA), "venv-train"),
    requirements: join(project, "requirements-train.txt"),
    python: config.OUTRIDER_PYTHON,
    torch: config.OUTRIDER_TORCH,
    torchIndexUrl: config.OUTRIDER_TORCH_INDEX_URL,
  };
  return { project, modelsRoot: config.MODELS_ROOT, environment: (shell) => ensurePythonEnv(wish, shell) };
}

export function launcherOf(config: TrainingConfig, local: LocalLauncherOptions): Launcher {
  if (config.TRAINING_LAUNCHER === "local") return localLauncher(local);
  return rayLauncher({
    ...{ address: config.RAY_ADDRESS, token: config.RAY_AUTH_TOKEN, python: config.RAY_PYTHON },
    ...{ workers: config.RAY_WORKERS, gpus: config.RAY_GPUS },
    ...{ project: local.project, modelsRoot: local.modelsRoot },
  });
}
