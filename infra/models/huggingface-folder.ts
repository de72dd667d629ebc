/** The weights of a target as vLLM reads them: its Hugging Face folder, made where there is only what onnxruntime loads. */
import { existsSync, renameSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import { StartError } from "../start/errors.ts";
import { type DataFolder, ROOT } from "../start/paths.ts";
import { run } from "./command.ts";
import { ensureGguf } from "./default-model.ts";
import { alone } from "./lock.ts";
import { DEFAULT_TARGET_ID, TINY_TARGET_ID } from "./pins.ts";

const TINY_SOURCE = join(ROOT, "infra/models/tiny/target");
const TRAINER = join(ROOT, "gpu-service/training/trainer");

/**
 * `folder`: the converted target. `python`: of vLLM's environment, which has what the conversion needs.
 * Throws StartError: a target that was not converted here has to bring its folder along as `hf`.
 */
export async function ensureHuggingFaceFolder(
  data: DataFolder,
  folder: string,
  python: string,
  say: (line: string) => void,
): Promise<string> {
  const id = basename(folder);
  if (id === TINY_TARGET_ID) return TINY_SOURCE;
  const made = join(folder, "hf");
  if (existsSync(join(made, "config.json"))) return made;
  if (id !== DEFAULT_TARGET_ID)
    throw new StartError(`${made} is missing: put the Hugging Face folder of ${id} there for ENGINE=vllm`);
  return alone(made, say, async () => {
    if (existsSync(join(made, "config.json"))) return made;
    say(`Writing the weights of ${id} for vLLM ...`);
    await convert(python, await ensureGguf(data, say), made);
    return made;
  });
}

async function convert(python: string, source: string, made: string): Promise<void> {
  const partial = `${made}.partial`;
  rmSync(partial, { recursive: true, force: true });
  const args = ["-m", "trainer", "convert", "--source", source, "--out", partial];
  const { ok, output } = await run(python, args, {
    env: { PYTHONPATH: TRAINER, PYTHONDONTWRITEBYTECODE: "1" },
  });
  if (!ok) throw new StartError(`${made} could not be written: ${output.trim().split("\n").at(-1)}`);
  rmSync(made, { recursive: true, force: true });
  renameSync(partial, made);
}
