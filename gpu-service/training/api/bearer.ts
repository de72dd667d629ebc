/** Bearer authentication that takes the same time for every wrong token. */
import { createHash, timingSafeEqual } from "node:crypto";
import type { MiddlewareHandler } from "hono";
import { ApiError } from "./errors.ts";

export function requireBearer(token: string | undefined): MiddlewareHandler {
  const wanted = token === undefined ? undefined : digest(token);
  return async (context, next) => {
    if (wanted) {
      const given = /^Bearer (.+)$/.exec(context.req.header("authorization") ?? "")?.[1];
      if (given === undefined)
        throw new ApiError(401, "authorization: a bearer token is needed (TRAINING_TOKEN)");
      if (!timingSafeEqual(digest(given), wanted))
        throw new ApiError(401, "authorization: wrong bearer token");
    }
    await next();
  };
}

const digest = (text: string): Buffer => createHash("sha256").update(text).digest();
