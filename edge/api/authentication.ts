/** Who asks, and whether that key may: before anything else of a request is read. */
import type { MiddlewareHandler } from "hono";
import type { Scope } from "../accounts/key-terms.ts";
import type { AppEnv } from "./context.ts";
import { ApiError, unauthorized } from "./errors.ts";

/** The period of the rate-limit binding in wrangler.toml, which says yes or no and nothing else. */
const RATE_PERIOD_S = 10;

/** Only keys that have the scope. */
export const authenticated =
  (scope: Scope): MiddlewareHandler<AppEnv> =>
  async (c, next) => {
    const given = /^Bearer (\S+)$/i.exec(c.req.header("authorization") ?? "")?.[1];
    if (!given) {
      throw unauthorized("You did not provide an API key. Send it as: Authorization: Bearer YOUR_KEY");
    }
    const { keys, limitRate } = c.var.services;
    const key = await keys.find(given);
    if (!key) throw unauthorized("Incorrect API key provided.");
    if (!key.scopes.includes(scope)) throw outOfScope(scope);
    if (!(await limitRate(key.id))) throw tooManyRequests();
    c.set("key", key);
    c.set("tenant", key.tenant);
    await next();
  };

const outOfScope = (scope: Scope) =>
  new ApiError({
    status: 403,
    type: "invalid_request_error",
    message: `This key lacks the scope ${scope}.`,
    code: "insufficient_scope",
  });

const tooManyRequests = () =>
  new ApiError({
    status: 429,
    type: "rate_limit_error",
    message: "Too many requests with this key.",
    code: "rate_limit_exceeded",
    headers: { "retry-after": String(RATE_PERIOD_S) },
  });
