/**
 * A small byte-level tokenizer for tests: a token for each byte, some for common pairs, two special ones.
 * Ids: 0–255 bytes, 256… merges, then `<|end|>` and `<|start|>`.
 */
import { byteLevelCharacter } from "../../edge/text/token-bytes.ts";
import type { TargetManifest } from "../../gpu-service/protocol/manifest.ts";

const MERGED = ["he", "ll", "th", " t", " a", "in", "er", " w", "or", "ld"];
const utf8 = new TextEncoder();
const characters = (text: string) => [...utf8.encode(text)].map(byteLevelCharacter);

const bytes = Array.from({ length: 256 }, (_, byte) => byteLevelCharacter(byte));
const merges = MERGED.map((pair) => characters(pair) as [string, string]);
const pieces = [...bytes, ...merges.map((pair) => pair.join(""))];
export const END_ID = pieces.length;
export const START_ID = pieces.length + 1;
export const VOCABULARY = pieces.length + 2;

const special = (id: number, content: string) => ({
  id,
  content,
  single_word: false,
  lstrip: false,
  rstrip: false,
  normalized: false,
  special: true,
});

export const tokenizerJson = {
  version: "1.0",
  truncation: null,
  padding: null,
  added_tokens: [special(END_ID, "<|end|>"), special(START_ID, "<|start|>")],
  normalizer: null,
  pre_tokenizer: { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true },
  post_processor: null,
  decoder: { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true },
  model: {
    type: "BPE",
    dropout: null,
    unk_token: null,
    continuing_subword_prefix: null,
    end_of_word_suffix: null,
    fuse_unk: false,
    byte_fallback: false,
    vocab: Object.fromEntries(pieces.map((piece, id) => [piece, id])),
    merges,
  },
};
export const tokenizerConfig = { clean_up_tokenization_spaces: false };

const CHAT_TEMPLATE =
  "{% for message in messages %}{% if message.role == 'assistant' and loop.first %}" +
  "{{ raise_exception('the first message must not be the assistant\\'s') }}{% endif %}" +
  "<|start|>{{ message.role }}: {{ message.content }}<|end|>{% endfor %}" +
  "{% if add_generation_prompt %}<|start|>assistant: {% endif %}";

/** A manifest for this tokenizer; `sha256` of tokenizer.json as it is served. */
export const targetManifest = (sha256: string, size: number): TargetManifest => ({
  format_version: 1,
  kind: "target",
  id: "test-target",
  files: { "tokenizer.json": { sha256, bytes: size } },
  tokenizer_sha256: sha256,
  vocab_size: VOCABULARY,
  context: 512,
  bos_id: null,
  eos_ids: [END_ID],
  chat_template: CHAT_TEMPLATE,
  special: { bos_token: "<|start|>" },
});
