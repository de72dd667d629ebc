/**
 * The bytes that each token stands for.
 *
 * Byte-level BPE writes a byte as one printable character (the table of GPT-2); SentencePiece models write a
 * space as U+2581 and a byte that has no token of its own as `<0xNN>`. Special tokens stand for nothing.
 */
import type { Tokenizer } from "@huggingface/tokenizers";

export type TokenBytes = (id: number) => Uint8Array;

const NOTHING = new Uint8Array(0);
const utf8 = new TextEncoder();

/** `decoder`: the "decoder" entry of tokenizer.json. Throws on a kind that is neither of the two. */
export function tokenBytes(tokenizer: Tokenizer, decoder: unknown): TokenBytes {
  const added = tokenizer.get_added_tokens_decoder();
  const bytesOf = pieceReader(decoder);
  return (id) => {
    const addedToken = added.get(id);
    if (addedToken) return addedToken.special ? NOTHING : utf8.encode(addedToken.content);
    const piece = tokenizer.id_to_token(id);
    return piece === undefined ? NOTHING : bytesOf(piece);
  };
}

function pieceReader(decoder: unknown): (piece: string) => Uint8Array {
  const kinds = decoderKinds(decoder);
  if (kinds.includes("ByteLevel")) return byteLevelBytes;
  if (kinds.includes("ByteFallback") || kinds.includes("Metaspace")) return sentencePieceBytes;
  throw new Error(`tokenizer.json: decoder ${kinds.join(" + ") || "(none)"} is not supported`);
}

function decoderKinds(decoder: unknown): string[] {
  if (typeof decoder !== "object" || decoder === null) return [];
  const { type, decoders } = decoder as { type?: unknown; decoders?: unknown };
  if (Array.isArray(decoders)) return decoders.flatMap(decoderKinds);
  return typeof type === "string" ? [type] : [];
}

const BYTE_OF_CHARACTER = byteLevelTable();

/** Printable bytes are themselves; the other 68 are numbered upwards from U+0100. */
function byteLevelTable(): Map<string, number> {
  const table = new Map<string, number>();
  const isPrintable = (b: number) => (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
  let next = 256;
  for (let byte = 0; byte < 256; byte++) {
    table.set(String.fromCharCode(isPrintable(byte) ? byte : next++), byte);
  }
  return table;
}

/** The character that stands for `byte` in a byte-level vocabulary. */
export const byteLevelCharacter = (byte: number): string =>
  [...BYTE_OF_CHARACTER].find(([, value]) => value === byte)![0];

function byteLevelBytes(piece: string): Uint8Array {
  const bytes = new Uint8Array(piece.length);
  for (let i = 0; i < piece.length; i++) {
    const byte = BYTE_OF_CHARACTER.get(piece[i]!);
    if (byte === undefined) return utf8.encode(piece);
    bytes[i] = byte;
  }
  return bytes;
}

function sentencePieceBytes(piece: string): Uint8Array {
  const byte = /^<0x([0-9A-Fa-f]{2})>$/.exec(piece)?.[1];
  return byte === undefined
    ? utf8.encode(piece.replaceAll("\u2581", " "))
    : Uint8Array.of(Number.parseInt(byte, 16));
}

/** A token as logprobs show it. */
export type TokenNames = (id: number) => string;

/** A special token, which has no text, goes by its own name: several may be likely at one position. */
export function tokenNames(tokenizer: Tokenizer, bytesOf: TokenBytes): TokenNames {
  const added = tokenizer.get_added_tokens_decoder();
  return (id) => {
    const token = added.get(id);
    return token?.special ? token.content : tokenText(bytesOf(id));
  };
}

/** Its text, or `bytes:\xNN…` where it is not whole characters. */
export function tokenText(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return `bytes:${Array.from(bytes, (b) => `\\x${b.toString(16).padStart(2, "0")}`).join("")}`;
  }
}
