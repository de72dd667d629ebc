/**
 * API keys in D1. Only a key's SHA-256 is stored; the key is shown once, when it is made.
 *
 * Look-ups are remembered in the isolate for at most 30 s, so a revoked key stops working within that time.
 */
import { hex, sha256Hex } from "../../gpu-service/protocol/manifest.ts";
import { type ApiKey, type KeyTerms, keyOfRow, rowOfTerms } from "./key-terms.ts";

const CACHE_LIFETIME_MS = 30_000;
const MAX_CACHED = 1_000;
const KEY_PREFIX = "sk-outrider-";
const SHOWN_CHARACTERS = KEY_PREFIX.length + 6;

export type NewApiKey = ApiKey & { key: string };

type Cached = { key: ApiKey | null; until: number };

export class ApiKeys {
  readonly #db: D1Database;
  readonly #cache: Map<string, Cached>;
  readonly #now: () => number;

  /** `cache` outlives a request; the database binding does not have to. */
  constructor(db: D1Database, cache: Map<string, Cached>, now: () => number = Date.now) {
    this.#db = db;
    this.#cache = cache;
    this.#now = now;
  }

  /** What is known of a key that is good; null for any other. */
  async find(key: string): Promise<ApiKey | null> {
    const found = await this.#lookUp(await hashOf(key));
    if (!found || found.revoked !== null) return null;
    return found.expires !== null && Date.parse(found.expires) <= this.#now() ? null : found;
  }

  async create(name: string, terms: KeyTerms): Promise<NewApiKey> {
    const key = KEY_PREFIX + hex(crypto.getRandomValues(new Uint8Array(24)));
    const row = {
      id: `key_${hex(crypto.getRandomValues(new Uint8Array(8)))}`,
      prefix: key.slice(0, SHOWN_CHARACTERS),
      name,
      created: new Date(this.#now()).toISOString(),
      revoked: null,
      ...rowOfTerms(terms),
    };
    const columns = { ...row, hash: await hashOf(key) };
    const names = Object.keys(columns);
    await this.#db
      .prepare(`INSERT INTO api_keys (${names.join(", ")}) VALUES (${names.map(() => "?").join(", ")})`)
      .bind(...Object.values(columns))
      .run();
    return { ...keyOfRow(row), key };
  }

  async list(): Promise<ApiKey[]> {
    const { results } = await this.#db.prepare("SELECT * FROM api_keys ORDER BY created").all();
    return results.map(keyOfRow);
  }

  /** False if there is no such key. Revoking twice keeps the first time. */
  async revoke(id: string): Promise<boolean> {
    const revoked = new Date(this.#now()).toISOString();
    const query = this.#db.prepare("UPDATE api_keys SET revoked = COALESCE(revoked, ?) WHERE id = ?");
    const { meta } = await query.bind(revoked, id).run();
    this.#cache.clear();
    return meta.changes > 0;
  }

  async #lookUp(hash: string): Promise<ApiKey | null> {
    const cached = this.#cache.get(hash);
    if (cached && cached.until > this.#now()) return cached.key;
    const row = await this.#db.prepare("SELECT * FROM api_keys WHERE hash = ?").bind(hash).first();
    const key = row && keyOfRow(row);
    const oldest = this.#cache.keys().next();
    if (this.#cache.size >= MAX_CACHED && !oldest.done) this.#cache.delete(oldest.value);
    this.#cache.set(hash, { key, until: this.#now() + CACHE_LIFETIME_MS });
    return key;
  }
}

const hashOf = (key: string): Promise<string> => sha256Hex(Uint8Array.from(new TextEncoder().encode(key)));
