/**
 * Lists of token ids on the wire: one string of three base64url characters per id (18 bits, the most significant
 * first) where every id is below 2^18, which holds nearly every vocabulary; else a JSON array of numbers. A reader
 * takes either.
 *
 *     [284, 198, 50]  ⇄  "AEcADGAAy"
 */
import { MAX_TOKEN_ID } from "./frames.ts";

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const PACKED_IDS = 1 << 18;

/** The six bits of an ASCII character; -1, which no combination with other bits makes positive, for all others. */
const BITS = new Int8Array(128).fill(-1);
for (let value = 0; value < ALPHABET.length; value++) BITS[ALPHABET.charCodeAt(value)] = value;

/** `ids`: integers from 0 to MAX_TOKEN_ID. */
export function packIds(ids: readonly number[]): string | readonly number[] {
  let packed = "";
  for (const id of ids) {
    if (id >= PACKED_IDS) return ids;
    packed += ALPHABET.charAt(id >> 12) + ALPHABET.charAt((id >> 6) & 63) + ALPHABET.charAt(id & 63);
  }
  return packed;
}

/** `least` to `most` ids in either form; null for anything else. */
export function readIds(value: unknown, least: number, most: number): number[] | null {
  if (typeof value === "string") return unpackIds(value, least, most);
  if (!Array.isArray(value) || value.length < least || value.length > most) return null;
  for (const id of value) if (!Number.isInteger(id) || id < 0 || id > MAX_TOKEN_ID) return null;
  return value;
}

function unpackIds(packed: string, least: number, most: number): number[] | null {
  const count = packed.length / 3;
  if (!Number.isInteger(count) || count < least || count > most) return null;
  const ids = new Array<number>(count);
  for (let n = 0, at = 0; n < count; n++, at += 3) {
    const id = (bitsAt(packed, at) << 12) | (bitsAt(packed, at + 1) << 6) | bitsAt(packed, at + 2);
    if (id < 0) return null;
    ids[n] = id;
  }
  return ids;
}

function bitsAt(packed: string, at: number): number {
  const code = packed.charCodeAt(at);
  return code < BITS.length ? BITS[code]! : -1;
}
