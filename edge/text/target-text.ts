/** Text in and out of one target: its tokenizer, its chat template, its limits. */
import { Tokenizer } from "@huggingface/tokenizers";
import { MAX_PROMPT_IDS } from "../../gpu-service/protocol/frames.ts";
import {
  openEnvelope,
  sha256Hex,
  type TargetManifest,
  type TrustedKey,
  targetManifestSchema,
  targetObjectKey,
} from "../../gpu-service/protocol/manifest.ts";
import { type ChatTemplate, chatTemplate } from "./chat-template.ts";
import { findInfill, type Infill } from "./infill.ts";
import { type TokenBytes, type TokenNames, tokenBytes, tokenNames } from "./token-bytes.ts";

export type TargetText = {
  /** Its context is what the link carries at most, where the target's own is larger. */
  readonly manifest: TargetManifest;
  /** No longer text (in UTF-16 units) fits the context, however it is cut into tokens. */
  readonly mostCharacters: number;
  /** `special`: whether the target's own opening tokens are added. */
  encode(text: string, special: boolean): number[];
  readonly bytesOf: TokenBytes;
  readonly nameOf: TokenNames;
  /** Absent where the model has no chat form. */
  readonly chat: ChatTemplate | undefined;
  /** Absent where the model cannot fill in a middle. */
  readonly infill: Infill | undefined;
};

/** Where the assets come from: the bytes under a key, or null. `sha256`: the digest that they must have, if known. */
export type ReadObject = (key: string, sha256?: string) => Promise<Uint8Array<ArrayBuffer> | null>;

/** Loads and checks a target's assets. Throws an Error that names the object at fault. */
export async function loadTargetText(
  target: string,
  read: ReadObject,
  trusted: readonly TrustedKey[],
): Promise<TargetText> {
  const manifest = await readManifest(target, read, trusted);
  const key = targetObjectKey(target, "tokenizer.json");
  const bytes = await mustRead(read, key, manifest.tokenizer_sha256);
  const digest = await sha256Hex(bytes);
  if (digest !== manifest.tokenizer_sha256) {
    throw new Error(`${key}: sha256 is ${digest}, the manifest says ${manifest.tokenizer_sha256}`);
  }
  const configKey = targetObjectKey(target, "tokenizer_config.json");
  const config = parseObject(configKey, await mustRead(read, configKey));
  return buildTargetText(manifest, parseObject(key, bytes), config);
}

/** `tokenizer`, `config`: tokenizer.json and tokenizer_config.json, parsed. */
export function buildTargetText(
  manifest: TargetManifest,
  tokenizer: Record<string, unknown>,
  config: Record<string, unknown>,
): TargetText {
  const codec = new Tokenizer(tokenizer, config);
  const { chat_template, special } = manifest;
  const context = Math.min(manifest.context, MAX_PROMPT_IDS);
  const bytesOf = tokenBytes(codec, tokenizer.decoder);
  return {
    manifest: { ...manifest, context },
    mostCharacters: context * longestPiece(codec),
    encode: (text, addSpecial) =>
      text === "" && !addSpecial ? [] : codec.encode(text, { add_special_tokens: addSpecial }).ids,
    bytesOf,
    nameOf: tokenNames(codec, bytesOf),
    chat: chat_template === null ? undefined : chatTemplate(chat_template, special ?? {}),
    infill: findInfill(codec.get_added_tokens_decoder()),
  };
}

/** UTF-16 units that one token stands for at most. */
function longestPiece(codec: Tokenizer): number {
  let longest = 1;
  for (const piece of codec.get_vocab().keys()) longest = Math.max(longest, piece.length);
  return longest;
}

async function readManifest(target: string, read: ReadObject, trusted: readonly TrustedKey[]) {
  const key = targetObjectKey(target, "manifest.json");
  const envelope = parseObject(key, await mustRead(read, key));
  const opened = await openEnvelope("manifest", envelope, trusted, targetManifestSchema);
  if (!opened.ok) throw new Error(`${key}: ${opened.message}`);
  if (opened.value.id !== target) throw new Error(`${key}: belongs to target ${opened.value.id}`);
  return opened.value;
}

async function mustRead(read: ReadObject, key: string, sha256?: string) {
  const bytes = await read(key, sha256);
  if (!bytes) throw new Error(`${key}: no such object in the releases bucket`);
  return bytes;
}

function parseObject(key: string, bytes: Uint8Array): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    throw new Error(`${key}: is not JSON`);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new Error(`${key}: is not a JSON object`);
  }
  return value as Record<string, unknown>;
}
