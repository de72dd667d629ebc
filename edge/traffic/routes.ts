/** `/admin/traffic`: what was captured of which key, and its deletion. */
import { type Context, type Env, Hono } from "hono";
import { captured, deleteTraffic } from "./deletion.ts";
import type { Subjects } from "./subjects.ts";

export type TrafficParts = { bucket: R2Bucket; subjects: Subjects };

/** To be mounted at /admin/traffic, behind what lets only the operator through. */
export function trafficRoutes<E extends Env>(partsOf: (context: Context<E>) => TrafficParts): Hono<E> {
  const app = new Hono<E>();
  app.get("/", async (context) => {
    const { bucket, subjects } = partsOf(context);
    const [known, found] = await Promise.all([subjects.list(), captured(bucket)]);
    const nothing = { objects: 0, requests: 0, bytes: 0, first_day: null, last_day: null };
    return context.json({
      data: known.map(({ key, subject }) => ({ key, ...(found.get(subject) ?? nothing) })),
    });
  });
  app.delete("/:key", async (context) => {
    const key = context.req.param("key");
    const { bucket, subjects } = partsOf(context);
    const deleted = await deleteTraffic(key, bucket, subjects);
    if (deleted) return context.json(deleted);
    const message = `There is no key ${key}.`;
    return context.json({ error: { message, type: "invalid_request_error", param: null, code: null } }, 404);
  });
  return app;
}
