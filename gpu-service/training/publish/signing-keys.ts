/**
 * The installation's signing keys: made at first use, private key 0600, never in the repository.
 *
 * `signing.json` holds the key that signs now; `trusted.json` every public key that the edge is to accept.
 */
import { randomBytes } from "node:crypto";
import {
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import {
  type Envelope,
  type SignedKind,
  sealEnvelope,
  sha256Hex,
  type TrustedKey,
  trustedKeySchema,
} from "../../protocol/manifest.ts";
import { fromBase64Url, toBase64Url } from "../../protocol/token.ts";

const KEY_ID_LENGTH = 16;
const signingSchema = z.object({ id: z.string(), public_key: z.string(), private_key: z.string() });
type SigningFile = z.infer<typeof signingSchema>;

export type SigningKeys = {
  readonly id: string;
  readonly trusted: readonly TrustedKey[];
  seal(kind: SignedKind, payload: string): Promise<Envelope>;
};

/** Reads the keys of a folder, or makes the first one. */
export async function openSigningKeys(folder: string): Promise<SigningKeys> {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const path = join(folder, "signing.json");
  if (!existsSync(path)) writeOnce(path, JSON.stringify(await makeKey()));
  chmodSync(path, 0o600);
  const key = parseFile(path, signingSchema);
  const trusted = readTrusted(folder);
  if (!trusted.some((known) => known.id === key.id)) {
    trusted.push({ id: key.id, public_key: key.public_key });
    writeTrusted(folder, trusted);
  }
  const pkcs8 = fromBase64Url(key.private_key);
  if (!pkcs8) throw new Error(`${path}: private_key is not base64url`);
  const privateKey = await crypto.subtle.importKey("pkcs8", pkcs8, "Ed25519", false, ["sign"]);
  return { id: key.id, trusted, seal: (kind, payload) => sealEnvelope(kind, payload, key.id, privateKey) };
}

/** A new key signs from now on; the old one stays trusted until it is revoked. Returns the new id. */
export async function rotateSigningKey(folder: string): Promise<string> {
  await openSigningKeys(folder);
  const key = await makeKey();
  // Trusted first: a crash in between leaves a key that nobody uses, not releases that nobody trusts.
  writeTrusted(folder, [...readTrusted(folder), { id: key.id, public_key: key.public_key }]);
  replaceFile(join(folder, "signing.json"), JSON.stringify(key), 0o600);
  return key.id;
}

/** What the key has signed is no longer accepted once the edge has the new list. The signing key must be rotated first. */
export async function revokeKey(folder: string, id: string): Promise<void> {
  const { id: signing, trusted } = await openSigningKeys(folder);
  if (id === signing) throw new Error(`key ${id} signs now: rotate first, then revoke it`);
  if (!trusted.some((key) => key.id === id))
    throw new Error(`key ${id} is not in ${join(folder, "trusted.json")}`);
  writeTrusted(
    folder,
    trusted.filter((key) => key.id !== id),
  );
}

async function makeKey(): Promise<SigningFile> {
  const pair = await crypto.subtle.generateKey("Ed25519", true, ["sign", "verify"]);
  if (!("privateKey" in pair)) throw new Error("Ed25519: expected a pair of keys");
  const raw = await exportKey("raw", pair.publicKey);
  const pkcs8 = await exportKey("pkcs8", pair.privateKey);
  const id = (await sha256Hex(raw)).slice(0, KEY_ID_LENGTH);
  return { id, public_key: toBase64Url(raw), private_key: toBase64Url(pkcs8) };
}

async function exportKey(format: "raw" | "pkcs8", key: CryptoKey): Promise<Uint8Array<ArrayBuffer>> {
  const exported = await crypto.subtle.exportKey(format, key);
  if (!(exported instanceof ArrayBuffer)) throw new Error(`Ed25519: ${format} export is not bytes`);
  return new Uint8Array(exported);
}

function readTrusted(folder: string): TrustedKey[] {
  const path = join(folder, "trusted.json");
  return existsSync(path) ? parseFile(path, z.array(trustedKeySchema)) : [];
}

const writeTrusted = (folder: string, keys: readonly TrustedKey[]): void =>
  replaceFile(join(folder, "trusted.json"), `${JSON.stringify(keys, null, 2)}\n`, 0o644);

function parseFile<T>(path: string, schema: z.ZodType<T>): T {
  try {
    return schema.parse(JSON.parse(readFileSync(path, "utf8")));
  } catch (error) {
    throw new Error(`${path}: not a key file (${error instanceof Error ? error.message : error})`);
  }
}

/** Of two processes that both make the first key, one wins and both use its key. */
function writeOnce(path: string, text: string): void {
  const draft = draftPath(path);
  writeFileSync(draft, text, { mode: 0o600 });
  try {
    linkSync(draft, path);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
  } finally {
    rmSync(draft);
  }
}

function replaceFile(path: string, text: string, mode: number): void {
  const draft = draftPath(path);
  writeFileSync(draft, text, { mode });
  renameSync(draft, path);
}

const draftPath = (path: string): string => `${path}.${randomBytes(6).toString("hex")}`;
