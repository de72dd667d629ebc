/**
 * API keys in D1. Only a key's SHA-256 is stored; the key is shown once, when it is made.
 *
 * Look-ups are remembered in the isolate for at most 30 s, so a revoked key stops working within that time.
 */
import { hex, sha256Hex } from "../../gpu-service/protocol/manifest.ts";

const CACHE_LIFETIME_MS = 30_000;
const MAX_CACHED = 1_000;
const KEY_PREFIX = "sk-outrider-";
const SHOWN_CHARACTERS = KEY_PREFIX.length + 6;

export type ApiKey = { id: string; prefix: string; name: string; created: string; revoked: string | null };
export type NewApiKey = ApiKey & { key: string };

type Cached = { tenant: string | null; until: number };

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

  /** The id of a good key, which is its tenant; null for any other. */
  async tenantOf(key: string): Promise<string | null> {
    const hash = await hashOf(key);
    const cached = this.#cache.get(hash);
    if (cached && cached.until > this.#now()) return cached.tenant;
    const query = this.#db.prepare("SELECT id FROM api_keys WHERE hash = ? AND revoked IS NULL").bind(hash);
    const row = await query.first<{ id: string }>();
    const tenant = row?.id ?? null;
    this.#remember(hash, tenant);
    return tenant;
  }

  async create(name: string): Promise<NewApiKey> {
    const key = KEY_PREFIX + hex(crypto.getRandomValues(new Uint8Array(24)));
    const made = {
      id: `key_${hex(crypto.getRandomValues(new Uint8Array(8)))}`,
      prefix: key.slice(0, SHOWN_CHARACTERS),
      name,
      created: new Date(this.#now()).toISOString(),
      revoked: null,
    };
    await this.#db
      .prepare("INSERT INTO api_keys (id, hash, prefix, name, created) VALUES (?, ?, ?, ?, ?)")
      .bind(made.id, await hashOf(key), made.prefix, made.name, made.created)
      .run();
    return { ...made, key };
  }

  async list(): Promise<ApiKey[]> {
    const query = this.#db.prepare(
      "SELECT id, prefix, name, created, revoked FROM api_keys ORDER BY created",
    );
    return (await query.all<ApiKey>()).results;
  }

  /** False if there is no such key. Revoking twice keeps the first time. */
  async revoke(id: string): Promise<boolean> {
    const revoked = new Date(this.#now()).toISOString();
    const query = this.#db.prepare("UPDATE api_keys SET revoked = COALESCE(revoked, ?) WHERE id = ?");
    const { meta } = await query.bind(revoked, id).run();
    this.#cache.clear();
    return meta.changes > 0;
  }

  #remember(hash: string, tenant: string | null): void {
    const oldest = this.#cache.keys().next();
    if (this.#cache.size >= MAX_CACHED && !oldest.done) this.#cache.delete(oldest.value);
    this.#cache.set(hash, { tenant, until: this.#now() + CACHE_LIFETIME_MS });
  }
}

const hashOf = (key: string): Promise<string> => sha256Hex(Uint8Array.from(new TextEncoder().encode(key)));
