/** `GET /admin/statistics/{target}?since=ISO`: acceptance by release and source, from `since` (else one day) on. */
import { type Context, type Env, Hono } from "hono";
import { z } from "zod";
import type { Statistics } from "../../gpu-service/protocol/statistics.ts";
import type { StatisticsBatch } from "./batcher.ts";

/** A target's statistics object, as it is reached from outside. */
export type StatisticsHandle = {
  add(batch: StatisticsBatch): Promise<void>;
  read(since: string): Promise<Statistics>;
};

const DAY_MS = 86_400_000;
const sinceSchema = z.iso.datetime({ offset: true });

/** To be mounted at /admin/statistics, behind what lets only the operator through. */
export function statisticsRoutes<E extends Env>(
  statisticsOf: (context: Context<E>, target: string) => StatisticsHandle,
): Hono<E> {
  const app = new Hono<E>();
  app.get("/:target", async (context) => {
    const since = sinceSchema.optional().safeParse(context.req.query("since"));
    if (!since.success) {
      const message = "since: must be a time such as 2026-11-24T18:00:00Z";
      return context.json(
        { error: { message, type: "invalid_request_error", param: "since", code: null } },
        400,
      );
    }
    const from = since.data ?? new Date(Date.now() - DAY_MS).toISOString();
    return context.json(await statisticsOf(context, context.req.param("target")).read(from));
  });
  return app;
}
