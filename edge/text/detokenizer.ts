/** Turns confirmed ids into text, token by token, in whole characters. */
import type { TokenBytes } from "./token-bytes.ts";

export class Detokenizer {
  readonly #bytesOf: TokenBytes;
  /** Holds the bytes of an unfinished character back until the next token completes it. */
  readonly #decoder = new TextDecoder("utf-8", { fatal: false, ignoreBOM: true });

  constructor(bytesOf: TokenBytes) {
    this.#bytesOf = bytesOf;
  }

  /** The characters that `id` completes. */
  push(id: number): string {
    return this.#decoder.decode(this.#bytesOf(id), { stream: true });
  }

  /** U+FFFD where the text ends inside a character, otherwise nothing. */
  end(): string {
    return this.#decoder.decode();
  }
}
