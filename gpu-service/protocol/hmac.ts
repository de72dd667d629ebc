/** Keys of HMAC-SHA-256, for the tokens of the link, the signatures of job events and the names of shared memory. */

const text = new TextEncoder();

/** `secret`: its UTF-8 bytes are the key. */
export const hmacKey = (secret: string, use: "sign" | "verify"): Promise<CryptoKey> =>
  crypto.subtle.importKey("raw", text.encode(secret), { name: "HMAC", hash: "SHA-256" }, false, [use]);
