/** The state of every chain, in D1: what people see, what the next chain begins from, what a tick reconciles. */
import { z } from "zod";
import type { ChainEnd, ChainFacts, ChainOrder } from "./chain-types.ts";

const text = z.string().nullable();
const chainSchema = z.object({
  ...{ id: z.string(), target: z.string(), recipe: z.string(), state: z.string(), started: z.string() },
  forced: z.number().transform((flag) => flag === 1),
  requests: z.number().nullable(),
  ...{ traffic_since: text, traffic_until: text, parent: text, job: text, release: text },
  ...{ canary_since: text, wake_at: text, note: text, ended: text },
});
export type StoredChain = z.infer<typeof chainSchema>;
const auditSchema = z.object({
  ...{ chain: z.string(), done: z.string(), at: z.string() },
  facts: z.string().transform((facts) => JSON.parse(facts) as unknown),
});
export type AuditEntry = z.infer<typeof auditSchema>;

const COLUMNS = [
  ...["state", "traffic_since", "traffic_until", "requests", "parent", "job", "release"],
  ...["canary_since", "wake_at", "note"],
] as const;
const ENDS: readonly string[] = ["skipped", "promoted", "kept", "failed"] satisfies ChainEnd[];

export class ChainStore {
  readonly #db: D1Database;
  readonly #now: () => number;

  constructor(db: D1Database, now: () => number) {
    this.#db = db;
    this.#now = now;
  }

  /** False where the chain was begun before, or the target has one that goes on. */
  async begin({ id, target, recipe, forced }: ChainOrder): Promise<boolean> {
    const { meta } = await this.#db
      .prepare(
        `INSERT OR IGNORE INTO retraining_chains (id, target, recipe, forced, state, started)
         VALUES (?, ?, ?, ?, 'counting', ?)`,
      )
      .bind(id, target, recipe, forced ? 1 : 0, this.#stamp())
      .run();
    return meta.changes > 0;
  }

  /** Notes facts of a chain that goes on, and what was done where `done` says so. An end is noted for good. */
  async record(chain: string, done: string, facts: ChainFacts): Promise<void> {
    const given = COLUMNS.filter((column) => facts[column as keyof ChainFacts] !== undefined);
    const values = given.map((column) => facts[column as keyof ChainFacts] ?? null);
    const ended = ENDS.includes(facts.state ?? "") ? this.#stamp() : null;
    const sets = [...given.map((column) => `${column} = ?`), "ended = ?"].join(", ");
    const update = this.#db
      .prepare(`UPDATE retraining_chains SET ${sets} WHERE id = ? AND ended IS NULL`)
      .bind(...values, ended, chain);
    const audit = this.#db
      .prepare("INSERT OR IGNORE INTO retraining_audit (chain, done, at, facts) VALUES (?, ?, ?, ?)")
      .bind(chain, done, this.#stamp(), JSON.stringify(facts));
    await this.#db.batch(done === "" ? [update] : [update, audit]);
  }

  /** The end of the traffic that the target's newest finished lesson had; null before the first. */
  async learnedUntil(target: string): Promise<string | null> {
    return this.#db
      .prepare(
        `SELECT MAX(traffic_until) AS until FROM retraining_chains
         WHERE target = ? AND state IN ('promoted', 'kept')`,
      )
      .bind(target)
      .first<string>("until");
  }

  open(): Promise<StoredChain[]> {
    return this.#chains("WHERE ended IS NULL ORDER BY started");
  }

  /** Newest first. */
  newest(limit: number): Promise<StoredChain[]> {
    return this.#chains("ORDER BY started DESC, rowid DESC LIMIT ?", limit);
  }

  async ofJob(job: string): Promise<StoredChain | undefined> {
    return (await this.#chains("WHERE job = ? AND ended IS NULL", job))[0];
  }

  /** Newest first. */
  async audit(limit: number): Promise<AuditEntry[]> {
    const { results } = await this.#db
      .prepare("SELECT chain, done, at, facts FROM retraining_audit ORDER BY number DESC LIMIT ?")
      .bind(limit)
      .all();
    return results.map((row) => auditSchema.parse(row));
  }

  async #chains(rest: string, ...values: (string | number)[]): Promise<StoredChain[]> {
    const { results } = await this.#db
      .prepare(`SELECT * FROM retraining_chains ${rest}`)
      .bind(...values)
      .all();
    return results.map((row) => chainSchema.parse(row));
  }

  #stamp(): string {
    return new Date(this.#now()).toISOString();
  }
}
