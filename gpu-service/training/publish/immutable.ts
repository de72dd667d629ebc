/** Puts files under keys that are written once: again with the same bytes is fine, with others it is refused. */
import { type Envelope, envelopeSchema, sha256Hex } from "../../protocol/manifest.ts";
import type { Bucket } from "./bucket.ts";
import { PublishError } from "./errors.ts";
import type { SigningKeys } from "./signing-keys.ts";

export async function putFile(
  bucket: Bucket,
  key: string,
  bytes: Uint8Array,
  signal?: AbortSignal,
): Promise<void> {
  if (await bucket.create(key, bytes, signal)) return;
  const there = await bucket.read(key);
  if (there && Buffer.compare(there, bytes) === 0) return;
  throw new PublishError(`${key}: exists with other content, and releases never change; use another id`);
}

/**
 * Signs and puts a manifest; returns the sha256 of the object as it lies in the bucket.
 * One that an older key has signed stays as it is when it says the same.
 */
export async function putManifest(
  bucket: Bucket,
  keys: SigningKeys,
  key: string,
  payload: string,
  signal?: AbortSignal,
): Promise<string> {
  const bytes = encode(await keys.seal("manifest", payload));
  if (await bucket.create(key, bytes, signal)) return sha256Hex(bytes);
  const there = await bucket.read(key);
  const envelope = there && parseEnvelope(there);
  if (there && envelope?.payload === payload) return sha256Hex(there);
  throw new PublishError(`${key}: exists with another manifest, and releases never change; use another id`);
}

const encode = (envelope: Envelope): Uint8Array<ArrayBuffer> =>
  Uint8Array.from(Buffer.from(JSON.stringify(envelope)));

/** Undefined for anything that is not an envelope. */
export function parseEnvelope(bytes: Uint8Array): Envelope | undefined {
  try {
    return envelopeSchema.safeParse(JSON.parse(Buffer.from(bytes).toString("utf8"))).data;
  } catch {
    return undefined;
  }
}
