/**
 * Releases: an immutable folder of files with a manifest, signed and written last.
 *
 * Signed bytes travel as text inside an envelope, so that no canonical form of JSON is needed:
 * what was signed is what is parsed.
 */
import { z } from "zod";
import { fromBase64Url, toBase64Url } from "./token.ts";

export const MANIFEST_FORMAT_VERSION = 1;
const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const count = z.int().min(0);
export const releaseId = z
  .string()
  .regex(/^[a-z0-9][a-z0-9._-]{0,99}$/, "a release id is lower-case letters, digits, '.', '_' and '-'");
const fileEntry = z.object({ sha256, bytes: count });

export const draftManifestSchema = z.object({
  format_version: z.literal(MANIFEST_FORMAT_VERSION),
  kind: z.literal("draft"),
  id: releaseId,
  target: z.string().min(1),
  created: z.iso.datetime({ offset: true }),
  files: z.object({ "model.draft": fileEntry, "tokenizer.json": fileEntry }),
  tokenizer_sha256: sha256,
  vocab_size: count,
  head_rows: count,
  context: count,
  quantisation: z.string(),
  /** Linear memory of the image itself, in bytes. */
  memory_bytes: count,
  lineage: z.looseObject({ recipe: z.string(), parent: z.string().nullable() }),
  /** Measured on held-out text, per domain (code, chat, prose). */
  acceptance: z.record(z.string(), z.looseObject({ greedy: z.number().min(0).max(1) })),
});
export type DraftManifest = z.infer<typeof draftManifestSchema>;

/** What the edge must know of a target: its text assets. The weights stay with the verifier. */
export const targetManifestSchema = z.object({
  format_version: z.literal(MANIFEST_FORMAT_VERSION),
  kind: z.literal("target"),
  id: z.string().min(1).max(128),
  files: z.object({ "tokenizer.json": fileEntry }),
  tokenizer_sha256: sha256,
  vocab_size: count,
  /** Most positions, prompt and output together. */
  context: count,
  bos_id: count.nullable(),
  /** Ids that end a text. */
  eos_ids: z.array(count).max(16),
  /** Jinja source; null where the model has no chat form. */
  chat_template: z.string().nullable(),
  /** Named special tokens that the template may use, such as `bos_token`. */
  special: z.record(z.string(), z.string()).nullable(),
});
export type TargetManifest = z.infer<typeof targetManifestSchema>;

/** What a channel serves. `sequence` only grows, so an old record cannot be played back. */
export const channelRecordSchema = z.object({
  target: z.string().min(1),
  sequence: z.int().min(1),
  current: z.object({ release: releaseId, manifest_sha256: sha256 }),
  canary: z
    .object({ release: releaseId, manifest_sha256: sha256, share: z.number().min(0).max(1) })
    .nullable(),
  previous: z.object({ release: releaseId, manifest_sha256: sha256 }).nullable(),
});
export type ChannelRecord = z.infer<typeof channelRecordSchema>;

export const envelopeSchema = z.object({
  payload: z.string().max(262_144),
  key_id: z.string(),
  signature: z.string(),
});
export type Envelope = z.infer<typeof envelopeSchema>;
/** `public_key`: raw Ed25519 key, base64url. */
export const trustedKeySchema = z.object({ id: z.string(), public_key: z.string() });
export type TrustedKey = z.infer<typeof trustedKeySchema>;
export type SignedKind = "manifest" | "channel";

/** The bytes under a signature: the kind is part of them, so a manifest cannot pass as a channel record. */
export const signedBytes = (kind: SignedKind, payload: string): Uint8Array<ArrayBuffer> =>
  Uint8Array.from(new TextEncoder().encode(`outrider.${kind}.v1\n${payload}`));

export async function sealEnvelope(
  kind: SignedKind,
  payload: string,
  keyId: string,
  privateKey: CryptoKey,
): Promise<Envelope> {
  const signature = await crypto.subtle.sign("Ed25519", privateKey, signedBytes(kind, payload));
  return { payload, key_id: keyId, signature: toBase64Url(new Uint8Array(signature)) };
}

export type Opened<T> = { ok: true; value: T } | { ok: false; message: string };

/** Parses an envelope, checks its signature against the trusted keys, then parses what it holds. */
export async function openEnvelope<T>(
  kind: SignedKind,
  json: unknown,
  trusted: readonly TrustedKey[],
  schema: z.ZodType<T>,
): Promise<Opened<T>> {
  const envelope = envelopeSchema.safeParse(json);
  if (!envelope.success) return { ok: false, message: `${kind}: not a signed envelope` };
  const { payload, key_id, signature } = envelope.data;
  const key = trusted.find((k) => k.id === key_id);
  if (!key) return { ok: false, message: `${kind}: signed by key ${key_id}, which is not trusted` };
  const raw = fromBase64Url(key.public_key);
  const sig = fromBase64Url(signature);
  if (raw?.length !== 32 || sig?.length !== 64)
    return { ok: false, message: `${kind}: key or signature has a wrong length` };
  const publicKey = await crypto.subtle.importKey("raw", raw, "Ed25519", false, ["verify"]);
  if (!(await crypto.subtle.verify("Ed25519", publicKey, sig, signedBytes(kind, payload)))) {
    return { ok: false, message: `${kind}: the signature does not match` };
  }
  let parsed: unknown;
  try {
    parsed = JSON.parse(payload);
  } catch {
    return { ok: false, message: `${kind}: the signed payload is not JSON` };
  }
  const result = schema.safeParse(parsed);
  if (result.success) return { ok: true, value: result.data };
  const issue = result.error.issues[0];
  return { ok: false, message: `${kind}: ${issue?.path.join(".")}: ${issue?.message}` };
}

export async function sha256Hex(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return hex(new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)));
}
export const hex = (bytes: Uint8Array): string =>
  Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join("");

/** Where a release's files lie in the bucket. */
export const draftObjectKey = (
  release: string,
  file: "model.draft" | "tokenizer.json" | "manifest.json",
): string => `drafts/${release}/${file}`;
/** Where a target's text assets lie in the bucket. */
export const targetObjectKey = (
  target: string,
  file: "tokenizer.json" | "tokenizer_config.json" | "manifest.json",
): string => `targets/${target}/${file}`;
