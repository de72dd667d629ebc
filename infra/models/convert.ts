/** Handing a model to the converter (`gpu-service/training/trainer/checkpoints`). */
import { join } from "node:path";
import { StartError } from "../start/errors.ts";
import type { DataFolder } from "../start/paths.ts";
import { run } from "./command.ts";
import type { Format } from "./pins.ts";
import { ensureConvertPython } from "./python-env.ts";

export type Conversion = {
  /** A GGUF file, or a folder laid out as on the Hugging Face hub. */
  source: string;
  id: string;
  formats: readonly Format[];
  /** Folder whose tokenizer files replace the source's own. */
  tokenizer?: string;
  /** For benchmarks: widened with zeros (`checkpoints/widened.py`). */
  widen?: { hiddenTimes: number; ffnTimes: number };
};

/** Writes `<models>/<id>`; returns that folder. Throws StartError with the converter's own words. */
export async function convert(data: DataFolder, conversion: Conversion): Promise<string> {
  const python = await ensureConvertPython(data);
  const { source, id, formats, tokenizer, widen } = conversion;
  const args = ["-m", "checkpoints", source, "--models", data.models, "--id", id];
  args.push("--formats", formats.join(","), ...(tokenizer ? ["--tokenizer", tokenizer] : []));
  if (widen) args.push("--widen", String(widen.hiddenTimes), String(widen.ffnTimes));
  const converted = await run(python.path, args, { show: true, env: python.env });
  if (!converted.ok) throw new StartError(converted.output.trim() || `${source} was not converted`);
  return join(data.models, id);
}
