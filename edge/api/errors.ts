/** Errors in OpenAI's shape. Everything that can go wrong with a completion is mapped to HTTP here. */
import type { Failure } from "../completion/failure.ts";

type ErrorBody = { error: { message: string; type: string; param: string | null; code: string | null } };
type ErrorFacts = {
  status: number;
  message: string;
  type: string;
  param?: string | null;
  code?: string | null;
  headers?: Record<string, string>;
};

export class ApiError extends Error {
  override name = "ApiError";
  readonly status: number;
  readonly body: ErrorBody;
  readonly headers: Record<string, string>;

  constructor({ status, message, type, param = null, code = null, headers = {} }: ErrorFacts) {
    super(message);
    this.status = status;
    this.body = { error: { message, type, param, code } };
    this.headers = headers;
  }

  toResponse(): Response {
    return Response.json(this.body, { status: this.status, headers: this.headers });
  }
}

export const invalidRequest = (message: string, param: string | null = null, code: string | null = null) =>
  new ApiError({ status: 400, type: "invalid_request_error", message, param, code });

export const unauthorized = (message: string) =>
  new ApiError({ status: 401, type: "invalid_request_error", message, code: "invalid_api_key" });

export const notFound = (message: string, param: string | null = null, code: string | null = null) =>
  new ApiError({ status: 404, type: "invalid_request_error", message, param, code });

export const unavailable = (message: string, code: string) =>
  new ApiError({ status: 503, type: "server_error", message, code, headers: { "retry-after": "1" } });

export function failureToError(failure: Failure): ApiError {
  switch (failure.kind) {
    case "verifier":
      return verifierError(failure);
    case "unreachable":
      return unavailable(`No verifier is reachable: ${failure.message}`, "verifier_unreachable");
    case "target-unavailable":
      return unavailable(`The model cannot be served: ${failure.message}`, "model_unavailable");
    case "aborted":
      return new ApiError({ status: 499, type: "invalid_request_error", message: "The client went away." });
  }
}

function verifierError({ code, message }: Extract<Failure, { kind: "verifier" }>): ApiError {
  switch (code) {
    case "context_too_long":
      return invalidRequest(message, "prompt", "context_length_exceeded");
    case "invalid_request":
      return invalidRequest(message);
    case "overloaded":
      return unavailable(message, "overloaded");
    default:
      return unavailable(`The verifier refused: ${message}`, `verifier_${code}`);
  }
}
