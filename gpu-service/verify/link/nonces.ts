/** Nonces of tokens that are still valid: each may open one stream only. */
export class NonceWindow {
  /** Nonce to the second at which its token expires; in order of arrival. */
  readonly #seen = new Map<string, number>();
  readonly #limit: number;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Notes a nonce. `full`: too many are valid at once, nothing was noted. */
  take(nonce: string, expiresAt: number, nowSeconds: number): "fresh" | "replayed" | "full" {
    if (this.#seen.has(nonce)) return "replayed";
    if (this.#seen.size >= this.#limit) this.#dropExpired(nowSeconds);
    if (this.#seen.size >= this.#limit) return "full";
    this.#seen.set(nonce, expiresAt);
    return "fresh";
  }

  #dropExpired(nowSeconds: number): void {
    for (const [nonce, expiresAt] of this.#seen) if (expiresAt < nowSeconds) this.#seen.delete(nonce);
  }
}
