/** `GET /v1/releases` and `GET /v1/jobs`: what an installation serves and trains, for keys with the scope `admin`. */
import { type Context, Hono } from "hono";
import { authenticated } from "./authentication.ts";
import type { AppEnv } from "./context.ts";
import { unavailable } from "./errors.ts";

const SHOWN_RELEASES = 10;

export function operationRoutes(): Hono<AppEnv> {
  const routes = new Hono<AppEnv>();
  for (const path of ["/releases", "/jobs"]) routes.use(path, authenticated("admin"));
  routes.get("/releases", listReleases);
  routes.get("/jobs", listJobs);
  return routes;
}

/** Newest first: the first is in force; `loaded` is what this isolate drafts with. */
async function listReleases(c: Context<AppEnv>): Promise<Response> {
  const { channel, config, draft } = c.var.services;
  const history = await channel(config.target).history();
  return c.json({ object: "list", data: history.slice(0, SHOWN_RELEASES), loaded: draft() });
}

async function listJobs(c: Context<AppEnv>): Promise<Response> {
  const jobs = await c.var.services.jobs().catch(() => {
    throw unavailable("The training service does not answer.", "training_unreachable");
  });
  return c.json({ object: "list", data: jobs });
}
