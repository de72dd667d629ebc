/** Token quotas: so many tokens in each hour, day or month of UTC, or at all. */
import { z } from "zod";

export const quotaSchema = z.strictObject({
  tokens: z.int().min(1).max(1e15),
  period: z.enum(["hour", "day", "month", "ever"]),
});
export type Quota = z.output<typeof quotaSchema>;
export type Period = Quota["period"];

/** `began`: ISO 8601 as far as the period goes; `endsAt`: Unix milliseconds, null for never. */
export type Window = { began: string; endsAt: number | null };

/** The stretch of time that counts together, at Unix milliseconds `now`. */
export function windowAt(period: Period, now: number): Window {
  const date = new Date(now);
  const [year, month, day] = [date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate()];
  const iso = date.toISOString();
  switch (period) {
    case "hour":
      return { began: iso.slice(0, 13), endsAt: Date.UTC(year, month, day, date.getUTCHours() + 1) };
    case "day":
      return { began: iso.slice(0, 10), endsAt: Date.UTC(year, month, day + 1) };
    case "month":
      return { began: iso.slice(0, 7), endsAt: Date.UTC(year, month + 1) };
    case "ever":
      return { began: "", endsAt: null };
  }
}

/** What came of asking for tokens. `remaining`: after it; `resetMs`: until all are there again, null for never. */
export type Reservation = { granted: boolean; remaining: number; resetMs: number | null };

/** A key's account of tokens; `id` names a request. */
export interface QuotaLedger {
  reserve(id: string, tokens: number, quota: Quota): Promise<Reservation>;
  /** Takes back what was reserved and charges what was used. Without effect for an unknown or settled request. */
  settle(id: string, used: number): Promise<void>;
}
