/** A request of the canary's share goes to the second Worker where that one holds the canary; what it cannot serve is served here. */
import type { MiddlewareHandler } from "hono";
import type { AppEnv } from "./context.ts";

/** Passes a request on, as it came, where another Worker is to serve it. */
export const passOn: MiddlewareHandler<AppEnv> = async (c, next) => {
  const second = await c.var.services.secondWorker();
  if (!second) return next();
  try {
    const request = new Request(c.req.raw.clone());
    // Of the same share there as here.
    request.headers.set("x-request-id", c.var.requestId);
    const response = await second.fetch(request);
    if (response.status < 500) return new Response(response.body, response);
    await response.body?.cancel();
    throw new Error(`it answered ${response.status}`);
  } catch (error) {
    const message = "the canary's Worker does not serve: the request is served here";
    console.warn(JSON.stringify({ level: "warn", message, request: c.var.requestId, error: String(error) }));
    return next();
  }
};
