/** Keys and the random subjects that stand for them in captured traffic. */
import { z } from "zod";
import { hex } from "../../gpu-service/protocol/manifest.ts";

const CACHE_LIFETIME_MS = 30_000;
const MAX_CACHED = 1_000;
const rowSchema = z.object({ key: z.string(), subject: z.string() });
export type Subject = z.infer<typeof rowSchema>;

export type SubjectCache = Map<string, { subject: string | null; until: number }>;

export class Subjects {
  readonly #db: D1Database;
  readonly #cache: SubjectCache;

  /** `cache` outlives a request; the database binding does not have to. */
  constructor(db: D1Database, cache: SubjectCache = new Map()) {
    this.#db = db;
    this.#cache = cache;
  }

  /** The key's subject, made at its first capture; null where the key's owner has not agreed to be captured, or no more. */
  async of(key: string): Promise<string | null> {
    const cached = this.#cache.get(key);
    if (cached && cached.until > Date.now()) return cached.subject;
    const made = hex(crypto.getRandomValues(new Uint8Array(16)));
    const make = `INSERT INTO traffic_subjects (key, subject, created)
      SELECT id, ?, ? FROM api_keys WHERE id = ? AND capture = 1 ON CONFLICT (key) DO NOTHING`;
    await this.#db.prepare(make).bind(made, new Date().toISOString(), key).run();
    const subject = await this.find(key);
    const [oldest] = this.#cache.keys();
    if (this.#cache.size >= MAX_CACHED && oldest !== undefined) this.#cache.delete(oldest);
    this.#cache.set(key, { subject, until: Date.now() + CACHE_LIFETIME_MS });
    return subject;
  }

  /** Null where nothing of the key was ever captured. */
  find(key: string): Promise<string | null> {
    return this.#db.prepare("SELECT subject FROM traffic_subjects WHERE key = ?").bind(key).first("subject");
  }

  async list(): Promise<Subject[]> {
    const { results } = await this.#db.prepare("SELECT key, subject FROM traffic_subjects").all();
    return results.map((row) => rowSchema.parse(row));
  }

  /** The key is captured no more, and what is kept of its texts as drafts is out of reach. False if there is no such key. */
  async withdraw(key: string): Promise<boolean> {
    const query = "UPDATE api_keys SET capture = 0, generation = generation + 1 WHERE id = ?";
    const { meta } = await this.#db.prepare(query).bind(key).run();
    this.#cache.delete(key);
    return meta.changes > 0;
  }

  async forget(key: string): Promise<void> {
    await this.#db.prepare("DELETE FROM traffic_subjects WHERE key = ?").bind(key).run();
  }
}
