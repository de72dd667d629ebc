/** Which web pages may use the API: those of the configured origins, none by default. */
import type { MiddlewareHandler } from "hono";
import { cors } from "hono/cors";
import type { AppEnv } from "./context.ts";

const EXPOSED = [
  ...["x-request-id", "retry-after", "x-should-retry"],
  ...["x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"],
];
const PREFLIGHT_LIFETIME_S = 86_400;

export const crossOrigin: MiddlewareHandler<AppEnv> = (c, next) => {
  const { corsOrigins } = c.var.services.config;
  if (corsOrigins.length === 0) return next();
  const origin = corsOrigins.includes("*") ? "*" : corsOrigins;
  const allowed = cors({
    origin,
    allowMethods: ["GET", "POST"],
    exposeHeaders: EXPOSED,
    maxAge: PREFLIGHT_LIFETIME_S,
  });
  return allowed(c, next);
};
