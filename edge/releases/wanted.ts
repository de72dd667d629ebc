/** What the channel says and a release's manifest: signatures, digests and fit with the target checked. */
import {
  type ChannelRecord,
  channelRecordSchema,
  type DraftManifest,
  draftManifestSchema,
  draftObjectKey,
  openEnvelope,
  sha256Hex,
  type TargetManifest,
  type TrustedKey,
} from "../../gpu-service/protocol/manifest.ts";
import type { ChannelStub } from "./channel-client.ts";

export type ReleaseSource = {
  bucket: R2Bucket;
  channel: ChannelStub;
  trusted: readonly TrustedKey[];
  /** The target's own manifest: a draft must speak with its tokenizer. */
  target(): Promise<TargetManifest>;
};

export type Wanted = ChannelRecord["current"];

/** Undefined where the channel has no record yet. Throws an Error that says what is wrong with it. */
export async function readRecord(
  source: ReleaseSource,
  target: TargetManifest,
): Promise<ChannelRecord | undefined> {
  const envelope = await source.channel.current();
  if (!envelope) return undefined;
  const record = await openEnvelope("channel", envelope, source.trusted, channelRecordSchema);
  if (!record.ok) throw new Error(record.message);
  if (record.value.target !== target.id) throw new Error(`channel: the record is for ${record.value.target}`);
  return record.value;
}

/** Throws an Error that names the object at fault. */
export async function readManifest(
  source: ReleaseSource,
  wanted: Wanted,
  target: TargetManifest,
): Promise<DraftManifest> {
  const key = draftObjectKey(wanted.release, "manifest.json");
  const object = await source.bucket.get(key);
  if (!object) throw new Error(`${key}: no such object in the releases bucket`);
  const bytes = new Uint8Array(await object.arrayBuffer());
  if ((await sha256Hex(bytes)) !== wanted.manifest_sha256)
    throw new Error(`${key}: is not the one that the channel names`);
  const opened = await openEnvelope("manifest", parseJson(key, bytes), source.trusted, draftManifestSchema);
  if (!opened.ok) throw new Error(`${key}: ${opened.message}`);
  const manifest = opened.value;
  const fits =
    manifest.id === wanted.release &&
    manifest.target === target.id &&
    manifest.tokenizer_sha256 === target.tokenizer_sha256 &&
    manifest.vocab_size <= target.vocab_size;
  if (!fits) throw new Error(`${key}: was not made for the target ${target.id} and its tokenizer`);
  return manifest;
}

function parseJson(key: string, bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    throw new Error(`${key}: is not JSON`);
  }
}
