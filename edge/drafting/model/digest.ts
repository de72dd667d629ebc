/** SHA-256 of bytes that come in pieces. */
export type Hasher = {
  update(bytes: Uint8Array): void | Promise<void>;
  /** Lower-case hexadecimal; ends the hasher. */
  hex(): string | Promise<string>;
};

/** A hasher over `crypto.DigestStream`, which workerd has and Node has not. */
export function digestStreamHasher(): Hasher {
  const digest = new crypto.DigestStream("SHA-256");
  const writer = digest.getWriter();
  return {
    update: (bytes) => writer.write(bytes),
    async hex() {
      await writer.close();
      return toHex(new Uint8Array(await digest.digest));
    },
  };
}

const toHex = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
