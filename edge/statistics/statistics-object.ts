/** Acceptance of a target's completions, one Durable Object per target: sums by minute, kept for 30 days. */
import { DurableObject } from "cloudflare:workers";
import {
  type AcceptanceRow,
  acceptanceRowSchema,
  type ServedRow,
  type Statistics,
  servedRowSchema,
} from "../../gpu-service/protocol/statistics.ts";
import type { StatisticsBatch } from "./batcher.ts";

const MINUTE_MS = 60_000;
const RETENTION_MINUTES = 30 * 24 * 60;
/** Nobody sends a batch again after so long. */
const BATCH_MEMORY_MINUTES = 10;

/** In the tables an absent release is "": no release has that id. */
const SCHEMA = [
  `CREATE TABLE IF NOT EXISTS acceptance (
    minute INTEGER NOT NULL, release TEXT NOT NULL, source TEXT NOT NULL, arm TEXT NOT NULL,
    requests INTEGER NOT NULL, drafted INTEGER NOT NULL, accepted INTEGER NOT NULL,
    drafted_squares INTEGER NOT NULL, accepted_squares INTEGER NOT NULL, products INTEGER NOT NULL,
    PRIMARY KEY (minute, release, source, arm)) STRICT, WITHOUT ROWID`,
  `CREATE TABLE IF NOT EXISTS served (
    minute INTEGER NOT NULL, release TEXT NOT NULL, arm TEXT NOT NULL, requests INTEGER NOT NULL,
    PRIMARY KEY (minute, release, arm)) STRICT, WITHOUT ROWID`,
  "CREATE TABLE IF NOT EXISTS batches (id TEXT PRIMARY KEY, minute INTEGER NOT NULL) STRICT, WITHOUT ROWID",
];
const ADD_ACCEPTANCE = `INSERT INTO acceptance VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
  ON CONFLICT DO UPDATE SET requests = requests + excluded.requests, drafted = drafted + excluded.drafted,
    accepted = accepted + excluded.accepted, drafted_squares = drafted_squares + excluded.drafted_squares,
    accepted_squares = accepted_squares + excluded.accepted_squares, products = products + excluded.products`;
const ADD_SERVED = `INSERT INTO served VALUES (?, ?, ?, ?)
  ON CONFLICT DO UPDATE SET requests = requests + excluded.requests`;
const READ_ACCEPTANCE = `SELECT NULLIF(release, '') AS release, source, arm, SUM(requests) AS requests,
    SUM(drafted) AS drafted, SUM(accepted) AS accepted, SUM(drafted_squares) AS drafted_squares,
    SUM(accepted_squares) AS accepted_squares, SUM(products) AS products
  FROM acceptance WHERE minute >= ? GROUP BY release, source, arm ORDER BY release, source, arm`;
const READ_SERVED = `SELECT NULLIF(release, '') AS release, arm, SUM(requests) AS requests
  FROM served WHERE minute >= ? GROUP BY release, arm ORDER BY release, arm`;

export class StatisticsObject extends DurableObject {
  readonly #sql: SqlStorage;

  constructor(state: DurableObjectState, env: unknown) {
    super(state, env as never);
    this.#sql = state.storage.sql;
    for (const table of SCHEMA) this.#sql.exec(table);
  }

  /** Counts a batch under the minute in which it arrives; once, however often it does. */
  add({ id, acceptance, served }: StatisticsBatch): void {
    const minute = Math.floor(Date.now() / MINUTE_MS);
    const [known] = this.#sql.exec("SELECT 1 FROM batches WHERE id = ?", id).toArray();
    if (known) return;
    this.#sql.exec("INSERT INTO batches VALUES (?, ?)", id, minute);
    for (const row of acceptance) this.#sql.exec(ADD_ACCEPTANCE, minute, ...valuesOf(row));
    for (const { release, arm, requests } of served)
      this.#sql.exec(ADD_SERVED, minute, release ?? "", arm, requests);
    this.#sql.exec("DELETE FROM batches WHERE minute < ?", minute - BATCH_MEMORY_MINUTES);
    this.#sql.exec("DELETE FROM acceptance WHERE minute < ?", minute - RETENTION_MINUTES);
    this.#sql.exec("DELETE FROM served WHERE minute < ?", minute - RETENTION_MINUTES);
  }

  /** Sums from `since` on (ISO 8601), which is taken down to the minute. */
  read(since: string): Statistics {
    const minute = Math.floor(Date.parse(since) / MINUTE_MS);
    const data: AcceptanceRow[] = this.#sql
      .exec(READ_ACCEPTANCE, minute)
      .toArray()
      .map((row) => acceptanceRowSchema.parse(row));
    const served: ServedRow[] = this.#sql
      .exec(READ_SERVED, minute)
      .toArray()
      .map((row) => servedRowSchema.parse(row));
    return { since: new Date(minute * MINUTE_MS).toISOString(), data, served };
  }
}

const valuesOf = (row: AcceptanceRow) => [
  ...[row.release ?? "", row.source, row.arm, row.requests, row.drafted, row.accepted],
  ...[row.drafted_squares, row.accepted_squares, row.products],
];
