/** Turns confirmed ids into text, token by token, in whole characters. */
import type { TokenBytes } from "./token-bytes.ts";

export class Detokenizer {
  readonly #bytesOf: TokenBytes;
  /** Holds the bytes of an unfinished character back until the next token completes it. */
  readonly #decoder = new TextDecoder("utf-8", { fatal: false, ignoreBOM: true });
  /** The decoder may hold bytes of such a character. */
  #mayHold = false;

  constructor(bytesOf: TokenBytes) {
    this.#bytesOf = bytesOf;
  }

  /** The characters that `id` completes. */
  push(id: number): string {
    const bytes = this.#bytesOf(id);
    const isAscii = bytes.every((byte) => byte < 0x80);
    // Nearly all of most texts: the decoder's call would cost more than the rest.
    if (isAscii && !this.#mayHold) return String.fromCharCode(...bytes);
    if (bytes.length > 0) this.#mayHold = !isAscii;
    return this.#decoder.decode(bytes, { stream: true });
  }

  /** U+FFFD where the text ends inside a character, otherwise nothing. */
  end(): string {
    return this.#decoder.decode();
  }
}
