/** `npm run models -- ...`: which targets are here, and adding others. */
import { existsSync } from "node:fs";
import { basename, join } from "node:path";
import { parseArgs } from "node:util";
import { StartError } from "../start/errors.ts";
import { type DataFolder, openDataFolder } from "../start/paths.ts";
import { convert } from "./convert.ts";
import { ensureDefaultModel, ensureGguf } from "./default-model.ts";
import { fetchFromHub, HUB_NAME } from "./hub.ts";
import { DEFAULT_FORMAT, FORMATS, type Format } from "./pins.ts";
import { listTargets } from "./target-folder.ts";
import { ensureTinyModel } from "./tiny-model.ts";

const USAGE = `npm run models -- <command>
  list                          the targets on this machine
  default [--formats F]         fetch and convert the default target
  tiny [--formats F]            put the tiny target that ships with the repository in place
  add <source> [options]        convert a Llama model: a GGUF file, a Hugging Face folder, or a hub name (owner/model)
      --id ID                   the target's name; from the source's when not given
      --formats F               comma-separated: ${FORMATS.join(", ")} (default ${DEFAULT_FORMAT})
      --tokenizer FOLDER        take tokenizer.json and tokenizer_config.json from there
      --revision R              branch, tag or commit of a hub name (default main)
`;
const TARGET_ID = /^[a-z0-9][a-z0-9._-]{0,99}$/;

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof StartError)) throw error;
  console.error(`\n${error.message}`);
  process.exitCode = 1;
}

async function main(args: string[]): Promise<number> {
  const { values, positionals } = parse(args);
  const [command, source, ...rest] = positionals;
  const formats = values.formats === undefined ? undefined : readFormats(values.formats);
  const data = openDataFolder();
  if (command === "list" && !source) return list(data);
  if (command === "default" && !source) return said(await fetchDefault(data, formats));
  if (command === "tiny" && !source) return said(await ensureTinyModel(data, formats));
  if (command !== "add" || !source || rest.length > 0) {
    console.error(USAGE);
    return 2;
  }
  const id = readId(values.id ?? idFrom(source));
  const place = existsSync(source) ? source : await fromHub(data, source, values.revision);
  const tokenizer = values.tokenizer;
  return said(await convert(data, { source: place, id, formats: formats ?? [DEFAULT_FORMAT], tokenizer }));
}

function parse(args: string[]) {
  const text = { type: "string" } as const;
  const options = { id: text, formats: text, tokenizer: text, revision: { ...text, default: "main" } };
  try {
    return parseArgs({ args, allowPositionals: true, options });
  } catch (error) {
    throw new StartError(`${(error as Error).message}\n${USAGE}`);
  }
}

/** Its GGUF file too, if that was deleted since: training reads it. */
async function fetchDefault(data: DataFolder, formats: Format[] | undefined): Promise<string> {
  await ensureGguf(data);
  return ensureDefaultModel(data, formats);
}

function fromHub(data: DataFolder, source: string, revision: string): Promise<string> {
  if (HUB_NAME.test(source)) return fetchFromHub(data, source, revision);
  throw new StartError(`${source}: neither a file or folder here, nor a hub name (owner/model)`);
}

function readFormats(text: string): Format[] {
  return text.split(",").map((part) => {
    const format = FORMATS.find((name) => name === part.trim());
    if (!format) throw new StartError(`--formats ${text}: "${part}" is not one of ${FORMATS.join(", ")}`);
    return format;
  });
}

function idFrom(source: string): string {
  return basename(source)
    .replace(/\.gguf$/i, "")
    .toLowerCase()
    .replace(/[^a-z0-9._-]+/g, "-");
}

function readId(id: string): string {
  if (TARGET_ID.test(id)) return id;
  throw new StartError(
    `--id ${id}: a target's name is lower-case letters, digits, '.', '_' and '-', at most 100`,
  );
}

function said(folder: string): number {
  console.log(folder);
  return 0;
}

function list(data: DataFolder): number {
  const targets = listTargets(data.models);
  if (targets.length === 0) console.log(`No target in ${data.models} yet: npm run models -- default`);
  for (const target of targets) {
    const shape = `${target.layers} x ${target.hidden}, vocabulary ${target.vocab_size}, context ${target.context}`;
    const formats = Object.entries(target.formats).map(
      ([name, { files }]) => `${name} ${megabytes(files)} MB`,
    );
    console.log(`${target.id}  ${shape}\n  ${formats.join(", ")}`);
    console.log(
      `  from ${target.source.name} (${target.source.kind}), licence: ${target.source.licence ?? "not stated"}`,
    );
    console.log(`  ${join(data.models, target.id)}`);
  }
  return 0;
}

function megabytes(files: Record<string, { bytes: number }>): number {
  return Math.round(Object.values(files).reduce((sum, { bytes }) => sum + bytes, 0) / 1e6);
}
