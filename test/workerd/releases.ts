/** Signed draft releases in the bucket, made of a draft that knows the next byte of a walk through all 256. */
import {
  type ChannelRecord,
  type DraftManifest,
  draftObjectKey,
  sealEnvelope,
  sha256Hex,
} from "../../gpu-service/protocol/manifest.ts";
import { tokenizerJson, VOCABULARY } from "../support/byte-tokenizer.ts";
import { oracleDraft } from "../support/oracle-draft.ts";
import { ADMIN_SECRET, call, env, TARGET, testKeys, toBytes } from "./support.ts";

/** The walk repeats nothing, so that lookup has nothing to say. */
export const nextByte = (id: number): number => (id * 5 + 7) & 255;
export const nextId = (id: number): number => (id < 256 ? nextByte(id) : id);

export type ReleaseChanges = {
  image?: Uint8Array;
  manifest?: Partial<DraftManifest>;
  payload?: (text: string) => string;
};

/** Puts a release into the bucket, changed where a test wants it broken. Returns what a channel record says of it. */
export async function putRelease(
  id: string,
  { image, manifest, payload }: ReleaseChanges = {},
): Promise<ChannelRecord["current"]> {
  const good = Uint8Array.from(oracleDraft(VOCABULARY, nextId));
  const tokenizer = toBytes(JSON.stringify(tokenizerJson));
  const text = JSON.stringify({
    format_version: 1,
    kind: "draft",
    id,
    target: TARGET,
    created: "2026-11-24T00:00:00Z",
    files: {
      "model.draft": { sha256: await sha256Hex(good), bytes: good.length },
      "tokenizer.json": { sha256: await sha256Hex(tokenizer), bytes: tokenizer.length },
    },
    tokenizer_sha256: await sha256Hex(tokenizer),
    vocab_size: VOCABULARY,
    head_rows: VOCABULARY,
    context: 256,
    quantisation: "int8",
    memory_bytes: good.length,
    lineage: { recipe: "oracle", parent: null },
    acceptance: {},
    ...manifest,
  });
  const sealed = await sealEnvelope("manifest", text, "test", testKeys.privateKey);
  const envelope = toBytes(JSON.stringify({ ...sealed, payload: payload ? payload(text) : text }));
  await env.RELEASES.put(draftObjectKey(id, "model.draft"), image ?? good);
  await env.RELEASES.put(draftObjectKey(id, "manifest.json"), envelope);
  return { release: id, manifest_sha256: await sha256Hex(envelope) };
}

/** Seals the record and puts it in the place of the one before it in the channel. */
export async function putChannel(record: ChannelRecord): Promise<Response> {
  const body = await sealEnvelope("channel", JSON.stringify(record), "test", testKeys.privateKey);
  const headers = { "if-match": `"${record.sequence - 1}"` };
  return call(`/admin/channels/${record.target}`, { key: ADMIN_SECRET, method: "PUT", headers, body });
}
