/** From a parsed JSON body to a request: by the schema alone, which names every field that is understood. */
import type { z } from "zod";
import { type ApiError, invalidRequest } from "./errors.ts";
import type { CommonRequest } from "./fields.ts";
import { isNeutralField } from "./tolerated.ts";

/** Throws an ApiError that names the first field at fault. */
export function readRequest<Schema extends z.ZodType<CommonRequest>>(
  body: unknown,
  schema: Schema,
): z.output<Schema> {
  if (typeof body !== "object" || body === null || Array.isArray(body)) {
    throw invalidRequest("The body must be a JSON object.");
  }
  const result = schema.safeParse(body);
  if (!result.success) throw schemaError(result.error);
  const { stream, stream_options } = result.data;
  if (stream_options && !stream) {
    throw invalidRequest("stream_options is only allowed with stream: true", "stream_options");
  }
  return result.data;
}

/** The first thing that a schema found wrong, with the field's name as the SDKs write it: `messages[0].content`. */
export function schemaError(error: z.ZodError): ApiError {
  const issue = error.issues[0]!;
  const field = String(issue.path[0]);
  if (isNeutralField(field)) {
    return invalidRequest(`${field}: this value is not supported`, field, "unsupported_parameter");
  }
  if (issue.code === "unrecognized_keys") {
    const name = fieldName([...issue.path, issue.keys[0]!]);
    return invalidRequest(`Unrecognized request argument supplied: ${name}`, name, "unknown_parameter");
  }
  const name = fieldName(issue.path);
  return invalidRequest(`${name || "body"}: ${issue.message}`, name || null);
}

const fieldName = (path: readonly PropertyKey[]): string =>
  path.reduce<string>(
    (name, key) =>
      typeof key === "number" ? `${name}[${key}]` : name ? `${name}.${String(key)}` : String(key),
    "",
  );
