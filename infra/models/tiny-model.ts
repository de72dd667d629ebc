/** The tiny target ships converted: it is there without network and without Python. */
import { cpSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { StartError } from "../start/errors.ts";
import { type DataFolder, ROOT } from "../start/paths.ts";
import { convert } from "./convert.ts";
import { alone } from "./lock.ts";
import { type Format, TINY_FORMAT, TINY_TARGET_ID } from "./pins.ts";
import { isWhole, readTarget } from "./target-folder.ts";

const SHIPPED = join(ROOT, "infra/models/tiny/converted");
const SOURCE = join(ROOT, "infra/models/tiny/target");
const WEIGHTS = "model.safetensors";

/** The folder of the tiny target in the data folder, with at least `formats`. Throws StartError. */
export async function ensureTinyModel(
  data: DataFolder,
  formats: readonly Format[] = [TINY_FORMAT],
): Promise<string> {
  const folder = join(data.models, TINY_TARGET_ID);
  if (formats.some((format) => format !== TINY_FORMAT)) {
    return convert(data, { source: SOURCE, id: TINY_TARGET_ID, formats });
  }
  await alone(join(data.models, `.${TINY_TARGET_ID}-copy`), console.log, async () => {
    if (!(await isCurrent(folder))) copyShipped(folder);
  });
  return folder;
}

/** Throws StartError. */
function copyShipped(folder: string): void {
  const partial = `${folder}.partial`;
  try {
    rmSync(partial, { recursive: true, force: true });
    cpSync(SHIPPED, partial, { recursive: true });
    rmSync(folder, { recursive: true, force: true });
    renameSync(partial, folder);
  } catch (error) {
    throw new StartError(`The tiny model could not be put to ${folder}: ${(error as Error).message}`);
  }
}

/** A folder converted on demand has more formats than the shipped one, but the same source and tokenizer. */
async function isCurrent(folder: string): Promise<boolean> {
  const shipped = readTarget(SHIPPED);
  const sha256 = shipped?.source.files[WEIGHTS];
  if (!shipped || !sha256) throw new StartError(`${SHIPPED} is incomplete: check the repository out again`);
  if (readTarget(folder)?.tokenizer_sha256 !== shipped.tokenizer_sha256) return false;
  return isWhole(folder, [TINY_FORMAT], { name: WEIGHTS, sha256 });
}
