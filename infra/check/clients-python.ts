/** The Python environment of the clients that the API is tested with: made when a test first needs it. */
import { join } from "node:path";
import { ensurePythonEnv } from "../../gpu-service/training/launchers/python-env.ts";
import { openDataFolder, ROOT } from "../start/paths.ts";

/** Returns the environment's interpreter. Throws SetupError that says what is missing. */
export function ensureClientsPython(): Promise<string> {
  const wish = {
    folder: join(openDataFolder().root, "venv-clients"),
    requirements: join(ROOT, "test/clients/requirements.txt"),
    python: process.env.OUTRIDER_PYTHON,
  };
  const shell = { log: () => {}, step: () => {}, signal: new AbortController().signal };
  return ensurePythonEnv(wish, shell);
}
