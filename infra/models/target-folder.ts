/** Target folders on this machine: what is there, and whether it is whole. */
import { createHash } from "node:crypto";
import { createReadStream, existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { z } from "zod";
import { CONVERTER_VERSION } from "./pins.ts";

const fileEntry = z.object({ sha256: z.string(), bytes: z.int().min(0) });
const manifestSchema = z.looseObject({
  kind: z.literal("target"),
  id: z.string(),
  converter_version: z.int(),
  tokenizer_sha256: z.string(),
  layers: z.int(),
  hidden: z.int(),
  vocab_size: z.int(),
  context: z.int(),
  formats: z.record(z.string(), z.object({ files: z.record(z.string(), fileEntry) })),
  source: z.looseObject({
    kind: z.string(),
    name: z.string(),
    licence: z.string().nullish(),
    files: z.record(z.string(), z.string()),
  }),
});
export type TargetFolder = z.infer<typeof manifestSchema>;

/** The manifest in `folder`; undefined where there is none, or none that this version understands. */
export function readTarget(folder: string): TargetFolder | undefined {
  try {
    return manifestSchema.parse(JSON.parse(readFileSync(join(folder, "manifest.json"), "utf8")));
  } catch {
    return undefined;
  }
}

/** Every target folder below `models`, by name. */
export function listTargets(models: string): TargetFolder[] {
  if (!existsSync(models)) return [];
  const names = readdirSync(models).filter((name) => !name.startsWith("."));
  return names.sort().flatMap((name) => readTarget(join(models, name)) ?? []);
}

/** Whether `folder` holds `formats` made from the file `sourceFile` by this converter, each byte as stated. */
export async function isWhole(
  folder: string,
  formats: readonly string[],
  sourceFile: { name: string; sha256: string },
): Promise<boolean> {
  const target = readTarget(folder);
  if (target?.converter_version !== CONVERTER_VERSION) return false;
  if (target.source.files[sourceFile.name] !== sourceFile.sha256) return false;
  const tokenizer = join(folder, "tokenizer.json");
  if (!existsSync(tokenizer) || (await sha256Of(tokenizer)) !== target.tokenizer_sha256) return false;
  for (const format of formats) {
    const files = Object.entries(target.formats[format]?.files ?? {});
    if (files.length === 0) return false;
    for (const [name, stated] of files) {
      const path = join(folder, format, name);
      if (!existsSync(path) || statSync(path).size !== stated.bytes) return false;
      if ((await sha256Of(path)) !== stated.sha256) return false;
    }
  }
  return true;
}

export async function sha256Of(path: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path, { highWaterMark: 1 << 20 }), hash);
  return hash.digest("hex");
}
