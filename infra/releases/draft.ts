/**
 * `npm run draft -- FOLDER [--text TEXT] [--tokens N]`: lets a release's draft write on in the edge's kernel, without
 * any target: does its image load within a worker's memory, and how fast is it here?
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Tokenizer } from "@huggingface/tokenizers";
import { openDraft } from "../bench/acceptance/draft.ts";
import { StartError } from "../start/errors.ts";
import { runMain } from "../start/run-main.ts";

const USAGE = "npm run draft -- FOLDER [--text TEXT] [--tokens N]   FOLDER: what stage export wrote";
const DEFAULT_TEXT = "def add(a, b):\n";

await runMain(main);

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { text: { type: "string", default: DEFAULT_TEXT }, tokens: { type: "string", default: "32" } },
  });
  const count = Number(values.tokens);
  const [folder] = positionals;
  if (folder === undefined || positionals.length > 1 || !Number.isInteger(count) || count < 1) {
    console.error(USAGE);
    return 2;
  }
  const tokenizer = await readTokenizer(folder);
  const { engine, memoryBytes } = await openDraft(join(folder, "model.draft"));
  const sequence = engine.open();
  sequence.extend(tokenizer.encode(values.text, { add_special_tokens: false }).ids);
  await sequence.prefill();
  const began = performance.now();
  const { tokens } = await sequence.draft(count, { temperature: 0, seed: 0n });
  const seconds = (performance.now() - began) / 1000;
  const ids = tokens.map(({ id }) => id);
  console.log(tokenizer.decode(ids, { skip_special_tokens: false }));
  console.log(JSON.stringify({ ids, tok_s: Math.round(ids.length / seconds), memory_bytes: memoryBytes }));
  return 0;
}

async function readTokenizer(folder: string): Promise<Tokenizer> {
  const path = join(folder, "tokenizer.json");
  try {
    return new Tokenizer(JSON.parse(await readFile(path, "utf8")), {});
  } catch (error) {
    throw new StartError(`${path}: ${error instanceof Error ? error.message : error}`);
  }
}
