/** The table of jobs: statements that are run, and rows that are parsed. */
import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync, type SQLInputValue } from "node:sqlite";
import type { JobOrder } from "../../protocol/jobs.ts";
import type { Recipe } from "../../protocol/recipe.ts";
import { jobRowSchema, type StoredJob } from "./job-row.ts";
import { openTables } from "./schema.ts";

/** A job to be stored: its recipe as it runs, overrides in it. */
export type JobEntry = Omit<JobOrder, "recipe"> & { id: string; recipe: Recipe; release: string };

export class JobTable {
  readonly #db: DatabaseSync;

  constructor(path: string) {
    mkdirSync(dirname(path), { recursive: true });
    this.#db = new DatabaseSync(path);
    openTables(this.#db);
  }

  one(sql: string, ...values: SQLInputValue[]): StoredJob | undefined {
    const row = this.#db.prepare(sql).get(...values);
    return row === undefined ? undefined : jobRowSchema.parse(row);
  }

  all(sql: string, ...values: SQLInputValue[]): StoredJob[] {
    return this.#db
      .prepare(sql)
      .all(...values)
      .map((row) => jobRowSchema.parse(row));
  }

  /** How many rows it changed. */
  run(sql: string, ...values: SQLInputValue[]): number {
    return Number(this.#db.prepare(sql).run(...values).changes);
  }

  /** False where the job's idempotency key is another's. */
  insert(job: JobEntry, created: string): boolean {
    const changes = this.run(
      `INSERT INTO jobs (id, idempotency_key, recipe, recipe_json, overrides, traffic, parent, release, publish,
         state, created)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'queued', ?) ON CONFLICT (idempotency_key) DO NOTHING`,
      job.id,
      job.idempotency_key ?? null,
      job.recipe.name,
      JSON.stringify(job.recipe),
      job.overrides && JSON.stringify(job.overrides),
      job.traffic && JSON.stringify(job.traffic),
      job.parent,
      job.release,
      job.publish,
      created,
    );
    return changes === 1;
  }

  countByState(): Record<string, number> {
    const rows = this.#db.prepare("SELECT state, COUNT(*) AS n FROM jobs GROUP BY state").all();
    return Object.fromEntries(rows.map((row) => [String(row.state), Number(row.n)]));
  }

  close(): void {
    this.#db.close();
  }
}
