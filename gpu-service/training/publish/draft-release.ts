/** Publishes a draft release from a folder: files first, the signed manifest last. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import {
  type DraftManifest,
  draftManifestSchema,
  draftObjectKey,
  sha256Hex,
} from "../../protocol/manifest.ts";
import type { Bucket } from "./bucket.ts";
import { PublishError } from "./errors.ts";
import { putFile, putManifest } from "./immutable.ts";
import type { SigningKeys } from "./signing-keys.ts";

const FILES = ["model.draft", "tokenizer.json"] as const;

export type DraftFolder = {
  manifest: DraftManifest;
  /** The manifest as it will be signed. */
  payload: string;
  files: Record<(typeof FILES)[number], Uint8Array<ArrayBuffer>>;
};
export type Published = { id: string; target: string; manifestSha256: string };

/**
 * Reads `manifest.unsigned.json` and the files it names, checks every size and digest.
 * `id`: publishes it under this id instead of the manifest's own.
 */
export async function readDraftFolder(folder: string, id?: string): Promise<DraftFolder> {
  const path = join(folder, "manifest.unsigned.json");
  const raw = parseJson(path);
  const parsed = draftManifestSchema.safeParse(id === undefined ? raw : { ...raw, id });
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw new PublishError(`${path}: ${issue?.path.join(".")}: ${issue?.message}`);
  }
  const manifest = parsed.data;
  const files = {
    "model.draft": read(folder, "model.draft"),
    "tokenizer.json": read(folder, "tokenizer.json"),
  };
  for (const name of FILES) {
    const { sha256, bytes } = manifest.files[name];
    const digest = await sha256Hex(files[name]);
    if (digest !== sha256 || files[name].byteLength !== bytes) {
      throw new PublishError(
        `${join(folder, name)}: ${files[name].byteLength} bytes, sha256 ${digest}; its manifest says ${bytes}, ${sha256}`,
      );
    }
  }
  return { manifest, payload: JSON.stringify({ ...raw, id: manifest.id }), files };
}

export async function publishDraft(
  bucket: Bucket,
  keys: SigningKeys,
  release: DraftFolder,
  signal?: AbortSignal,
): Promise<Published> {
  const { id, target } = release.manifest;
  for (const name of FILES) await putFile(bucket, draftObjectKey(id, name), release.files[name], signal);
  const key = draftObjectKey(id, "manifest.json");
  return { id, target, manifestSha256: await putManifest(bucket, keys, key, release.payload, signal) };
}

function parseJson(path: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(readFileSync(path, "utf8"));
    if (typeof value === "object" && value !== null) return { ...value };
  } catch (error) {
    throw new PublishError(`${path}: ${error instanceof Error ? error.message : error}`);
  }
  throw new PublishError(`${path}: not an object`);
}

function read(folder: string, name: string): Uint8Array<ArrayBuffer> {
  try {
    return Uint8Array.from(readFileSync(join(folder, name)));
  } catch (error) {
    throw new PublishError(`${join(folder, name)}: ${error instanceof Error ? error.message : error}`);
  }
}
