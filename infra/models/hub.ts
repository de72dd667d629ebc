/** Fetching a model from the Hugging Face hub, by name. */
import { join } from "node:path";
import { explainPip } from "../../gpu-service/training/launchers/pip-errors.ts";
import { StartError } from "../start/errors.ts";
import { type DataFolder, ROOT } from "../start/paths.ts";
import { run } from "./command.ts";
import { ensureConvertPython } from "./python-env.ts";

const REQUIREMENTS = join(ROOT, "gpu-service/training/trainer/requirements-hub.txt");
export const HUB_NAME = /^[A-Za-z0-9][\w.-]*\/[\w.-]+$/;

/** Downloads `name` at `revision` (a branch, tag or commit); returns the folder. Throws StartError. */
export async function fetchFromHub(data: DataFolder, name: string, revision: string): Promise<string> {
  const python = await ensureConvertPython(data);
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
  if (!installed.ok)
    throw new StartError(`The hub's client could not be installed: ${explainPip(installed.output)}`);
  const into = join(data.root, "cache/hub", name.replace("/", "--"));
  const args = ["-m", "checkpoints.hub", name, "--revision", revision, "--into", into];
  const fetched = await run(python.path, args, { show: true, env: python.env });
  if (!fetched.ok) {
    const reason = fetched.output.trim().split("\n").at(-1);
    throw new StartError(
      `${name} could not be fetched from the hub (${reason}). Without a network, add its folder or a GGUF file.`,
    );
  }
  return into;
}
