/** The operator's API: keys and channels, behind a secret of its own. Without the secret there is no such API. */
import { Hono, type MiddlewareHandler } from "hono";
import { z } from "zod";
import { termsSchema } from "../accounts/key-terms.ts";
import { channelRoutes } from "../releases/channel-routes.ts";
import { retrainingRoutes } from "../retraining/routes.ts";
import { statisticsRoutes } from "../statistics/routes.ts";
import { trafficRoutes } from "../traffic/routes.ts";
import type { AppEnv } from "./context.ts";
import { notFound, unauthorized } from "./errors.ts";
import { schemaError } from "./read.ts";

export const newKeySchema = termsSchema.extend({ name: z.string().min(1).max(200) });

export function adminRoutes(): Hono<AppEnv> {
  const admin = new Hono<AppEnv>();
  admin.route(
    "/retraining",
    retrainingRoutes<AppEnv>((c) => c.var.services.retraining(), operatorOnly),
  );
  admin.use(operatorOnly);
  admin.post("/keys", async (c) => {
    const body = newKeySchema.safeParse(await c.req.json().catch(() => undefined));
    if (!body.success) throw schemaError(body.error);
    const { name, ...terms } = body.data;
    return c.json(await c.var.services.keys.create(name, terms), 201);
  });
  admin.get("/keys", async (c) => c.json({ data: await c.var.services.keys.list() }));
  admin.delete("/keys/:id", async (c) => {
    const id = c.req.param("id");
    if (!(await c.var.services.keys.revoke(id))) throw notFound(`There is no key ${id}.`);
    return c.json({ id, revoked: true });
  });
  admin.route(
    "/statistics",
    statisticsRoutes<AppEnv>((c, target) => c.var.services.statistics(target)),
  );
  admin.route(
    "/traffic",
    trafficRoutes<AppEnv>((c) => c.var.services.traffic()),
  );
  admin.all("/channels/*", (c) => {
    const { channel, config } = c.var.services;
    const { adminSecret = "", trustedKeys } = config;
    const routes = channelRoutes({ channel, adminSecret, trusted: trustedKeys, now: Date.now });
    return new Hono().route("/admin/channels", routes).fetch(c.req.raw);
  });
  return admin;
}

const operatorOnly: MiddlewareHandler<AppEnv> = async (c, next) => {
  const { adminSecret } = c.var.services.config;
  if (adminSecret === undefined) throw notFound(`No such route: ${c.req.method} ${c.req.path}`);
  const given = /^Bearer (\S+)$/i.exec(c.req.header("authorization") ?? "")?.[1] ?? "";
  if (!(await sameText(given, adminSecret))) throw unauthorized("Incorrect admin secret.");
  await next();
};

/** Compares digests, so that neither length nor content shows in the time it takes. */
async function sameText(a: string, b: string): Promise<boolean> {
  const digest = (text: string) => crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  const [left, right] = await Promise.all([digest(a), digest(b)]);
  return crypto.subtle.timingSafeEqual(left, right);
}
