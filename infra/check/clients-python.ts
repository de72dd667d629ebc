/** The Python environments of the clients that the API is tested with: each made when a test first needs it. */
import { join } from "node:path";
import { ensurePythonEnv } from "../../gpu-service/training/launchers/python-env.ts";
import { openDataFolder, ROOT } from "../start/paths.ts";

const ENVIRONMENTS = {
  clients: { folder: "venv-clients", requirements: "requirements.txt" },
  "lm-eval": { folder: "venv-lm-eval", requirements: "requirements-lm-eval.txt" },
};

/** Returns the environment's interpreter. Throws SetupError that says what is missing. */
export function ensureClientsPython(name: keyof typeof ENVIRONMENTS): Promise<string> {
  const { folder, requirements } = ENVIRONMENTS[name];
  const wish = {
    folder: join(openDataFolder().root, folder),
    requirements: join(ROOT, "test/clients", requirements),
    python: process.env.OUTRIDER_PYTHON,
  };
  const shell = { log: () => {}, step: () => {}, signal: new AbortController().signal };
  return ensurePythonEnv(wish, shell);
}
