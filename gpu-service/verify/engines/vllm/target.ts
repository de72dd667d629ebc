/** A target for vLLM: a Hugging Face folder, or a converted target that has one inside. */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { z } from "zod";

const configSchema = z.looseObject({
  vocab_size: z.int().min(1),
  max_position_embeddings: z.int().min(1).optional(),
});

export type Target = {
  id: string;
  /** sha256 (hex) of its tokenizer.json. */
  tokenizer: string;
  /** The Hugging Face folder. */
  folder: string;
  /** Positions that the model was made for; Infinity where it does not say. */
  context: number;
};

/** Where a target's folder may have its Hugging Face folder: it may be one, or have been converted from one. */
const PLACES = ["", "hf"];

/** `id`: its name, where it is not the folder's own. Throws an error that names the file and what is wrong with it. */
export async function openTarget(folder: string, id = basename(resolve(folder))): Promise<Target> {
  const found = PLACES.map((place) => join(folder, place)).find((path) =>
    existsSync(join(path, "config.json")),
  );
  if (!found)
    throw new Error(
      `${join(folder, "config.json")}: cannot be read, nor is it in hf/; is TARGET_DIR a Hugging Face folder?`,
    );
  const path = join(found, "config.json");
  const config = configSchema.safeParse(parseJson(path, await readFile(path, "utf8")));
  if (!config.success) {
    const issue = config.error.issues[0];
    throw new Error(`${path}: ${issue?.path.join(".")}: ${issue?.message}`);
  }
  return {
    id,
    tokenizer: await tokenizerOf([folder, found]),
    folder: resolve(found),
    context: config.data.max_position_embeddings ?? Number.POSITIVE_INFINITY,
  };
}

function parseJson(path: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Error(`${path}: not JSON`);
  }
}

/** The edge makes ids with the file that was published: the converted target's where there is one. */
async function tokenizerOf(folders: readonly string[]): Promise<string> {
  const path = folders.map((folder) => join(folder, "tokenizer.json")).find((path) => existsSync(path));
  if (!path) throw new Error(`${join(folders[0]!, "tokenizer.json")}: missing`);
  return createHash("sha256")
    .update(await readFile(path))
    .digest("hex");
}
