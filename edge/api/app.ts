/** Routes of the public API and of the admin API, and what is the same for all of them. */
import { type Context, Hono, type MiddlewareHandler } from "hono";
import { bodyLimit } from "hono/body-limit";
import { adminRoutes } from "./admin.ts";
import { authenticated } from "./authentication.ts";
import { createChatCompletion, createCompletion } from "./completions.ts";
import type { AppEnv, Services } from "./context.ts";
import { crossOrigin } from "./cross-origin.ts";
import { ApiError, notFound } from "./errors.ts";
import { getModel, listModels } from "./models.ts";
import { openApiDocument } from "./openapi.ts";
import { operationRoutes } from "./operations.ts";
import { passOn } from "./pass-on.ts";
import { ROUTES } from "./routes.ts";

const MAX_BODY_BYTES = 4 << 20;
const REQUEST_ID = /^[\w.:-]{1,128}$/;

export function createApp(servicesOf: (c: Context<AppEnv>) => Services): Hono<AppEnv> {
  const app = new Hono<AppEnv>();
  app.use(requestId);
  app.get(pathOf(ROUTES.health), (c) => c.json({ status: "ok" }));
  app.use(async (c, next) => {
    c.set("services", servicesOf(c));
    await next();
  });
  app.use("/openapi.json", crossOrigin);
  app.get("/openapi.json", (c) => c.json(openApiDocument(c.var.services.config.target)));
  app.use("/v1/*", crossOrigin);
  app.route("/v1", operationRoutes());
  for (const route of [ROUTES.completions, ROUTES.chat]) app.post(pathOf(route), passOn);
  app.use("/v1/*", authenticated("completions"));
  app.use(bodyLimit({ maxSize: MAX_BODY_BYTES, onError: tooLarge }));
  app.post(pathOf(ROUTES.completions), createCompletion);
  app.post(pathOf(ROUTES.chat), createChatCompletion);
  app.get(pathOf(ROUTES.models), listModels);
  app.get("/v1/models/:id", getModel);
  for (const route of Object.values(ROUTES)) {
    app.all(pathOf(route), () => {
      throw methodNotAllowed(route.method);
    });
  }
  app.route("/admin", adminRoutes());
  app.notFound((c) => withId(c, notFound(`No such route: ${c.req.method} ${c.req.path}`).toResponse()));
  app.onError((error, c) => withId(c, errorResponse(error, c.get("requestId"))));
  return app;
}

const pathOf = ({ path }: { path: string }): string => path.replaceAll(/\{(\w+)\}/g, ":$1");

const requestId: MiddlewareHandler<AppEnv> = async (c, next) => {
  const given = c.req.header("x-request-id");
  c.set(
    "requestId",
    given && REQUEST_ID.test(given) ? given : `req_${crypto.randomUUID().replaceAll("-", "")}`,
  );
  await next();
  c.header("x-request-id", c.var.requestId);
};

const methodNotAllowed = (method: string) =>
  new ApiError({
    status: 405,
    type: "invalid_request_error",
    message: `This route takes ${method.toUpperCase()} only.`,
    headers: { allow: method.toUpperCase() },
  });

function tooLarge(): never {
  throw new ApiError({
    status: 413,
    type: "invalid_request_error",
    message: `The body is larger than ${MAX_BODY_BYTES} bytes.`,
  });
}

function errorResponse(error: Error, id: string): Response {
  if (error instanceof ApiError) return error.toResponse();
  console.error(JSON.stringify({ level: "error", request: id, message: error.message, stack: error.stack }));
  const message = `The server had an error while processing your request (${id}).`;
  return new ApiError({ status: 500, type: "server_error", message }).toResponse();
}

function withId(c: Context<AppEnv>, response: Response): Response {
  response.headers.set("x-request-id", c.get("requestId"));
  return response;
}
