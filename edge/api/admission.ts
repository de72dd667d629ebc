/** Whether a request may run: its key's account and the verifier are asked at the same time, and both must agree. */
import type { Context } from "hono";
import { Charge } from "../accounts/charge.ts";
import type { ChoiceEvents } from "./choices.ts";
import type { AppEnv } from "./context.ts";
import { unavailable } from "./errors.ts";
import { quotaExhausted, quotaHeaders } from "./quota-headers.ts";
import { whenTaken } from "./respond.ts";
import type { Planned } from "./sequence.ts";
import type { Choices } from "./written.ts";

/** Reserves the most that the request may take: its prompts once, every completion of them to its cap. */
export function chargeOf(c: Context<AppEnv>, planned: readonly Planned[], { perPrompt }: Choices): Charge {
  const { ledger, keepAlive } = c.var.services;
  const { quota, id } = c.var.key;
  const most = planned.reduce(
    (sum, { ids, maxTokens }, index) => sum + maxTokens + (index % perPrompt === 0 ? ids.length : 0),
    0,
  );
  return new Charge(quota ? { quota, ledger: ledger(id) } : undefined, most, keepAlive);
}

/** The headers that tell what remains. Throws an ApiError, and calls `end`, where either refuses. */
export async function admitted(
  c: Context<AppEnv>,
  charge: Charge,
  events: ChoiceEvents,
  end: () => void,
): Promise<Record<string, string>> {
  const { quota } = c.var.key;
  const reserved = async () => {
    const reservation = await charge.reserved.catch(() => {
      throw unavailable("The key's quota could not be asked.", "quota_unavailable");
    });
    if (!quota || !reservation) return {};
    if (!reservation.granted) throw quotaExhausted(quota, reservation, charge.most);
    return quotaHeaders(quota, reservation);
  };
  try {
    const [headers] = await Promise.all([reserved(), whenTaken(events)]);
    return headers;
  } catch (error) {
    end();
    throw error;
  }
}
