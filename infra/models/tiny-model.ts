/** The tiny target ships converted: it is there without network and without Python. */
import { cpSync, existsSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { StartError } from "../start/errors.ts";
import { type DataFolder, ROOT } from "../start/paths.ts";
import { convert } from "./convert.ts";
import { type Format, TINY_TARGET_ID } from "./pins.ts";

const SHIPPED = join(ROOT, "infra/models/tiny/converted");
const SOURCE = join(ROOT, "infra/models/tiny/target");
const SHIPPED_FORMAT = "fp32";

/** The folder of the tiny target in the data folder, with at least `formats`. Throws StartError. */
export async function ensureTinyModel(
  data: DataFolder,
  formats: readonly Format[] = [SHIPPED_FORMAT],
): Promise<string> {
  const folder = join(data.models, TINY_TARGET_ID);
  if (formats.some((format) => format !== SHIPPED_FORMAT)) {
    return convert(data, { source: SOURCE, id: TINY_TARGET_ID, formats });
  }
  if (isCurrent(folder)) return folder;
  const partial = `${folder}.partial`;
  try {
    rmSync(partial, { recursive: true, force: true });
    cpSync(SHIPPED, partial, { recursive: true });
    rmSync(folder, { recursive: true, force: true });
    renameSync(partial, folder);
  } catch (error) {
    throw new StartError(`The tiny model could not be put to ${folder}: ${(error as Error).message}`);
  }
  return folder;
}

/** A folder converted on demand has more formats than the shipped one, but the same source. */
function isCurrent(folder: string): boolean {
  const files = ["manifest.json", `${SHIPPED_FORMAT}/weights.bin`].map((name) => join(folder, name));
  if (!files.every((path) => existsSync(path))) return false;
  const read = (place: string) => JSON.parse(readFileSync(join(place, "manifest.json"), "utf8"));
  const [there, shipped] = [read(folder), read(SHIPPED)];
  return (
    JSON.stringify(there.source) === JSON.stringify(shipped.source) &&
    JSON.stringify(there.formats[SHIPPED_FORMAT]) === JSON.stringify(shipped.formats[SHIPPED_FORMAT])
  );
}
