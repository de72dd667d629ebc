/** Publishes what the edge needs of a target: its text assets, not its weights. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import {
  MANIFEST_FORMAT_VERSION,
  sha256Hex,
  targetManifestSchema,
  targetObjectKey,
} from "../../protocol/manifest.ts";
import type { Bucket } from "./bucket.ts";
import { PublishError } from "./errors.ts";
import { putFile, putManifest } from "./immutable.ts";
import type { SigningKeys } from "./signing-keys.ts";

const folderManifestSchema = z.looseObject({
  kind: z.literal("target"),
  id: z.string().min(1),
  tokenizer_sha256: z.string(),
  vocab_size: z.int(),
  context: z.int(),
  bos_id: z.int().nullable(),
  eos_ids: z.array(z.int()),
});
/** A template may stand in the configuration itself, or be named there one of several. */
const tokenizerConfigSchema = z.looseObject({
  chat_template: z
    .union([z.string(), z.array(z.object({ name: z.string(), template: z.string() }))])
    .nullish(),
});
const specialToken = z.union([z.string(), z.looseObject({ content: z.string() })]);

/** `folder`: a target folder as the converter writes it. Returns the target's id. */
export async function publishTarget(bucket: Bucket, keys: SigningKeys, folder: string): Promise<string> {
  const manifest = parse(join(folder, "manifest.json"), folderManifestSchema);
  const config = parse(join(folder, "tokenizer_config.json"), tokenizerConfigSchema);
  const tokenizer = bytesOf(join(folder, "tokenizer.json"));
  const configBytes = bytesOf(join(folder, "tokenizer_config.json"));
  const digest = await sha256Hex(tokenizer);
  if (digest !== manifest.tokenizer_sha256) {
    throw new PublishError(
      `${folder}/tokenizer.json: sha256 ${digest}, the manifest says ${manifest.tokenizer_sha256}`,
    );
  }
  const { id, vocab_size, context, bos_id, eos_ids } = manifest;
  const payload = {
    format_version: MANIFEST_FORMAT_VERSION,
    kind: "target",
    id,
    files: {
      "tokenizer.json": { sha256: digest, bytes: tokenizer.byteLength },
      "tokenizer_config.json": { sha256: await sha256Hex(configBytes), bytes: configBytes.byteLength },
    },
    tokenizer_sha256: digest,
    vocab_size,
    context,
    bos_id,
    eos_ids,
    chat_template: chatTemplateOf(folder, config),
    special: specialTokensOf(config),
  };
  targetManifestSchema.parse(payload);
  await putFile(bucket, targetObjectKey(id, "tokenizer.json"), tokenizer);
  await putFile(bucket, targetObjectKey(id, "tokenizer_config.json"), configBytes);
  await putManifest(bucket, keys, targetObjectKey(id, "manifest.json"), JSON.stringify(payload));
  return id;
}

function chatTemplateOf(folder: string, config: z.infer<typeof tokenizerConfigSchema>): string | null {
  const path = join(folder, "chat_template.jinja");
  if (existsSync(path)) return readFileSync(path, "utf8");
  const template = config.chat_template ?? null;
  if (typeof template === "string" || template === null) return template;
  return template.find((entry) => entry.name === "default")?.template ?? null;
}

/** `bos_token` and its like: what a chat template may name. */
function specialTokensOf(config: Record<string, unknown>): Record<string, string> {
  const tokens = Object.entries(config).flatMap(([name, value]) => {
    const token = /_token$/.test(name) ? specialToken.safeParse(value).data : undefined;
    return token === undefined ? [] : [[name, typeof token === "string" ? token : token.content] as const];
  });
  return Object.fromEntries(tokens);
}

function parse<T>(path: string, schema: z.ZodType<T>): T {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(path, "utf8"));
  } catch (error) {
    throw new PublishError(`${path}: ${error instanceof Error ? error.message : error}`);
  }
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  throw new PublishError(`${path}: ${issue?.path.join(".")}: ${issue?.message}`);
}

const bytesOf = (path: string): Uint8Array<ArrayBuffer> => Uint8Array.from(readFileSync(path));
