/**
 * The padded target, for benchmarks only: the default one widened with zeros to 1.17 billion weights, which changes
 * none of its answers and makes a step cost what one of a model of that size costs.
 *
 * All 30 layers, hidden 2,304 and 36 heads (both four times as many, so that the norms can be rescaled exactly), feed
 * forward 3,072 (twice).
 */
import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import type { DataFolder } from "../start/paths.ts";
import { convert } from "./convert.ts";
import { ensureGguf } from "./default-model.ts";
import { alone } from "./lock.ts";
import { DEFAULT_GGUF, type Format } from "./pins.ts";
import { isWhole } from "./target-folder.ts";

export const PADDED_TARGET_ID = "smollm2-135m-padded-1b";
const WIDEN = { hiddenTimes: 4, ffnTimes: 2 };
const draftManifest = z.looseObject({ id: z.string(), target: z.string() });
type Say = (line: string) => void;

/** The folder of the padded target with `format`, made where it is missing: 1.4 GB in w8a8. Throws StartError. */
export async function ensurePaddedTarget(data: DataFolder, format: Format, say: Say): Promise<string> {
  const folder = join(data.models, PADDED_TARGET_ID);
  if (await isWhole(folder, [format], DEFAULT_GGUF)) return folder;
  const source = await ensureGguf(data, say);
  say(`Converting ${PADDED_TARGET_ID} to ${format} ...`);
  return convert(data, { source, id: PADDED_TARGET_ID, formats: [format], widen: WIDEN });
}

/**
 * A copy of the default target's draft in `release`, bound to the padded target: their tokens are the same ids.
 * Returns its folder.
 */
export function bindDraft(data: DataFolder, release: string): Promise<string> {
  const folder = join(data.cache, `${PADDED_TARGET_ID}-draft`);
  return alone(folder, console.log, async () => {
    mkdirSync(folder, { recursive: true });
    for (const name of ["model.draft", "tokenizer.json"]) cpSync(join(release, name), join(folder, name));
    const manifest = draftManifest.parse(
      JSON.parse(readFileSync(join(release, "manifest.unsigned.json"), "utf8")),
    );
    const bound = { ...manifest, id: `${manifest.id}-padded`, target: PADDED_TARGET_ID };
    writeFileSync(join(folder, "manifest.unsigned.json"), `${JSON.stringify(bound, null, 2)}\n`);
    return folder;
  });
}
