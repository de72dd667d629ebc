/**
 * Lists of token ids on the wire: one string of base64url characters, two to four per id. Tokenizers number tokens by
 * how frequent they are, more or less, so that most ids take two. The first character says how many there are:
 *
 *     A–v          two      ids 0 to 3,071
 *     w–z, 0–7     three    3,072 to 52,223
 *     8 9 - _      four     52,224 to 1,100,799
 *
 * They are the digits of a number of base 64, the most significant first. A list with a larger id is a JSON array of
 * numbers; a reader takes either.
 *
 *     [284, 198, 50]  ⇄  "EcDGAy"
 */
import { MAX_TOKEN_ID } from "./frames.ts";

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/** From `firstId` on ids have so many `digits`, and a first digit from `firstDigit` on. */
type Form = { digits: number; firstDigit: number; firstId: number };
const SHORT: Form = { digits: 2, firstDigit: 0, firstId: 0 };
const MIDDLE: Form = { digits: 3, firstDigit: 48, firstId: 48 * 64 };
const LONG: Form = { digits: 4, firstDigit: 60, firstId: MIDDLE.firstId + 12 * 64 ** 2 };
const PACKED_IDS = LONG.firstId + 4 * 64 ** 3;

/** The six bits of an ASCII character; -1, which no combination with other bits makes positive, for all others. */
const BITS = new Int8Array(128).fill(-1);
for (let value = 0; value < ALPHABET.length; value++) BITS[ALPHABET.charCodeAt(value)] = value;

/** `ids`: integers from 0 to MAX_TOKEN_ID. */
export function packIds(ids: readonly number[]): string | readonly number[] {
  let packed = "";
  for (const id of ids) {
    if (id >= PACKED_IDS) return ids;
    const { digits, firstDigit, firstId } = id < MIDDLE.firstId ? SHORT : id < LONG.firstId ? MIDDLE : LONG;
    const number = id - firstId;
    packed += ALPHABET.charAt(firstDigit + (number >> (6 * (digits - 1))));
    for (let bits = 6 * (digits - 2); bits >= 0; bits -= 6) packed += ALPHABET.charAt((number >> bits) & 63);
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
  const ids: number[] = [];
  for (let at = 0; at < packed.length; ) {
    const first = bitsAt(packed, at);
    const { digits, firstDigit, firstId } =
      first < MIDDLE.firstDigit ? SHORT : first < LONG.firstDigit ? MIDDLE : LONG;
    let number = first - firstDigit;
    for (let n = 1; n < digits; n++) number = (number << 6) | bitsAt(packed, at + n);
    if (number < 0 || ids.length === most) return null;
    ids.push(firstId + number);
    at += digits;
  }
  return ids.length < least ? null : ids;
}

/** -1 beyond the end, too. */
function bitsAt(packed: string, at: number): number {
  const code = packed.charCodeAt(at);
  return code < BITS.length ? BITS[code]! : -1;
}
