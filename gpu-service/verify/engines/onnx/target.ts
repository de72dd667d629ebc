/** A target's folder as the converter wrote it: the manifest parsed, the files of one weight format located. */
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";

const count = z.int().min(1);
const manifestSchema = z.looseObject({
  format_version: z.literal(1),
  kind: z.literal("target"),
  id: z.string().min(1).max(64),
  tokenizer_sha256: z.string().regex(/^[0-9a-f]{64}$/),
  vocab_size: count,
  layers: count,
  heads: count,
  kv_heads: count,
  head_dim: count,
  context: count,
  formats: z.record(
    z.string(),
    z.looseObject({ files: z.record(z.string(), z.object({ sha256: z.string(), bytes: z.int() })) }),
  ),
});

export type Shape = {
  vocab: number;
  layers: number;
  /** Query heads that share one key and value head. */
  group: number;
  kvHeads: number;
  headDim: number;
};

export type Target = {
  id: string;
  tokenizer: string;
  format: string;
  shape: Shape;
  context: number;
  /** First 12 hex digits of sha256 over the format's file digests: names the weights. */
  weights: string;
  /** Path of the graph for each width. */
  graphs: { slots: number; path: string }[];
};

/** Throws an error that names the file and what is wrong with it. */
export async function openTarget(folder: string, format: string): Promise<Target> {
  const path = join(folder, "manifest.json");
  const manifest = parseManifest(path, await readText(path));
  const files = manifest.formats[format]?.files;
  if (!files) {
    const has = Object.keys(manifest.formats).join(", ");
    throw new Error(`${path}: has no weights in ${format}, only ${has || "none"}`);
  }
  await checkSizes(join(folder, format), files);
  const graphs = Object.keys(files).flatMap((name) => {
    const slots = /^slots-(\d+)\.onnx$/.exec(name)?.[1];
    return slots ? [{ slots: Number(slots), path: join(folder, format, name) }] : [];
  });
  if (graphs.length === 0) throw new Error(`${path}: formats.${format} lists no slots-N.onnx`);
  return {
    id: manifest.id,
    tokenizer: manifest.tokenizer_sha256,
    format,
    shape: {
      vocab: manifest.vocab_size,
      layers: manifest.layers,
      group: manifest.heads / manifest.kv_heads,
      kvHeads: manifest.kv_heads,
      headDim: manifest.head_dim,
    },
    context: manifest.context,
    weights: await digestOf(files),
    graphs: graphs.sort((a, b) => a.slots - b.slots),
  };
}

function parseManifest(path: string, text: string): z.infer<typeof manifestSchema> {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new Error(`${path}: not JSON`);
  }
  const result = manifestSchema.safeParse(json);
  if (!result.success) {
    const issue = result.error.issues[0];
    throw new Error(`${path}: ${issue?.path.join(".")}: ${issue?.message}`);
  }
  if (result.data.heads % result.data.kv_heads !== 0)
    throw new Error(`${path}: heads ${result.data.heads} is no multiple of kv_heads ${result.data.kv_heads}`);
  return result.data;
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch {
    throw new Error(`${path}: cannot be read; is TARGET_DIR the folder of a converted target?`);
  }
}

/** A file cut short by a full disk is found here; digests are checked where files are written. */
async function checkSizes(folder: string, files: Record<string, { bytes: number }>): Promise<void> {
  for (const [name, { bytes }] of Object.entries(files)) {
    const size = await stat(join(folder, name)).then(
      (s) => s.size,
      () => -1,
    );
    if (size !== bytes)
      throw new Error(`${join(folder, name)}: ${size < 0 ? "missing" : `${size} bytes, not ${bytes}`}`);
  }
}

async function digestOf(files: Record<string, { sha256: string }>): Promise<string> {
  const names = Object.keys(files).sort();
  const text = names.map((name) => `${files[name]!.sha256}  ${name}\n`).join("");
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return Buffer.from(digest).toString("hex").slice(0, 12);
}
