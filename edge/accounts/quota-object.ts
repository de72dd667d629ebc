/**
 * A key's account of tokens, one Durable Object per key: it answers one call at a time, so that the count is exact.
 *
 * What is reserved counts as used until it is settled. A request whose worker dies before it settles stays charged with
 * all that it had reserved: a quota is never exceeded, whatever is lost.
 */
import { DurableObject } from "cloudflare:workers";
import { z } from "zod";
import { type Quota, type Reservation, windowAt } from "./quota.ts";

const usedRow = z.object({ used: z.number() });
const reservationRow = z.object({ period: z.string(), began: z.string(), tokens: z.number() });
/** No request lives so long. */
const RESERVATION_LIFETIME_MS = 24 * 3_600_000;

export class QuotaObject extends DurableObject {
  readonly #sql: SqlStorage;

  constructor(state: DurableObjectState, env: unknown) {
    super(state, env as never);
    this.#sql = state.storage.sql;
    this.#sql.exec(`CREATE TABLE IF NOT EXISTS windows (
      period TEXT NOT NULL, began TEXT NOT NULL, used INTEGER NOT NULL, PRIMARY KEY (period, began)) STRICT`);
    this.#sql.exec(`CREATE TABLE IF NOT EXISTS reservations (
      id TEXT PRIMARY KEY, period TEXT NOT NULL, began TEXT NOT NULL, tokens INTEGER NOT NULL,
      made INTEGER NOT NULL) STRICT`);
  }

  reserve(id: string, tokens: number, { tokens: limit, period }: Quota): Reservation {
    const now = Date.now();
    const { began, endsAt } = windowAt(period, now);
    const resetMs = endsAt === null ? null : endsAt - now;
    const used = this.#usedIn(period, began, now);
    if (used + tokens > limit) return { granted: false, remaining: Math.max(0, limit - used), resetMs };
    this.#sql.exec("INSERT INTO reservations VALUES (?, ?, ?, ?, ?)", id, period, began, tokens, now);
    this.#charge(period, began, tokens);
    return { granted: true, remaining: limit - used - tokens, resetMs };
  }

  settle(id: string, used: number): void {
    const [row] = this.#sql.exec("DELETE FROM reservations WHERE id = ? RETURNING *", id).toArray();
    if (!row) return;
    const { period, began, tokens } = reservationRow.parse(row);
    this.#charge(period, began, used - tokens);
  }

  /** A window is made at its first use, and what lies behind it is forgotten. */
  #usedIn(period: string, began: string, now: number): number {
    const select = "SELECT used FROM windows WHERE period = ? AND began = ?";
    const [row] = this.#sql.exec(select, period, began).toArray();
    if (row) return usedRow.parse(row).used;
    const oldest = now - RESERVATION_LIFETIME_MS;
    this.#sql.exec("DELETE FROM reservations WHERE made < ?", oldest);
    this.#sql.exec("DELETE FROM windows WHERE period = ?", period);
    this.#sql.exec("INSERT INTO windows VALUES (?, ?, 0)", period, began);
    return 0;
  }

  /** Without effect for a window that is over. */
  #charge(period: string, began: string, tokens: number): void {
    this.#sql.exec(
      "UPDATE windows SET used = used + ? WHERE period = ? AND began = ?",
      tokens,
      period,
      began,
    );
  }
}
