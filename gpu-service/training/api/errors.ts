/** Refusals of the jobs API: a status, and a text that names what and where. */
import type { Context } from "hono";
import type { ContentfulStatusCode } from "hono/utils/http-status";

export class ApiError extends Error {
  override name = "ApiError";
  readonly status: ContentfulStatusCode;
  readonly param: string | null;

  constructor(status: ContentfulStatusCode, message: string, param: string | null = null) {
    super(message);
    this.status = status;
    this.param = param;
  }
}

export function errorResponse(context: Context, error: Error): Response {
  if (error instanceof ApiError) {
    const type = error.status === 401 ? "authentication_error" : "invalid_request_error";
    return context.json({ error: { message: error.message, type, param: error.param } }, error.status);
  }
  console.error(
    JSON.stringify({ level: 50, msg: "request failed", path: context.req.path, err: error.stack }),
  );
  return context.json({ error: { message: "internal error", type: "server_error", param: null } }, 500);
}
