/** The OpenAPI 3.1 document of the public API, made when someone first asks. */
import { z } from "zod";
import { ROUTES, type Route, SCHEMAS, type SchemaName } from "./routes.ts";

const KEY = "key";
/** Headers by which a client says more than its body does. */
const WISHES = {
  "x-outrider-details": "`1`: adds an `outrider` object that says what drafting did.",
  "x-outrider-drafts": "`off`: no drafts for this request; the same text.",
  "cache-control": "`no-store`: nothing is kept of this request as drafts.",
  traceparent: "W3C Trace Context: passed on to the verifier, which logs it.",
};

const made = new Map<string, object>();

/** `model`: the one that is served. */
export function openApiDocument(model: string): object {
  const document = made.get(model) ?? makeDocument(model);
  made.set(model, document);
  return document;
}

function makeDocument(model: string): object {
  const schemas = Object.entries(SCHEMAS).map(([name, { schema, io }]) => {
    const { $schema: _, ...json } = z.toJSONSchema(schema, { io });
    if (io === "input") Object.assign(json.properties!.model!, { enum: [model] });
    return [name, json];
  });
  const paths = Object.values(ROUTES).map((route) => [route.path, { [route.method]: operation(route) }]);
  return {
    openapi: "3.1.0",
    info: {
      title: "Outrider",
      version: "1",
      description:
        "Completions in the shape of OpenAI's API, drafted at the edge and verified by the target model.",
    },
    servers: [{ url: "/" }],
    paths: Object.fromEntries(paths),
    components: {
      schemas: Object.fromEntries(schemas),
      securitySchemes: { [KEY]: { type: "http", scheme: "bearer" } },
    },
  };
}

function operation(route: Route): object {
  const { summary, needsKey, body, answer, streams, failures, path } = route;
  const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
    ...{ name, in: "path", required: true, schema: { type: "string" } },
  }));
  const inHeaders = Object.entries(WISHES).map(([name, description]) => ({
    ...{ name, description, in: "header", schema: { type: "string" } },
  }));
  const failed = Object.entries(failures).map(([status, description]) => [
    status,
    said(description, "Error"),
  ]);
  const success = said(
    streams ? "The completion; with `stream: true` its chunks, then `[DONE]`." : summary,
    answer,
  );
  if (streams) Object.assign(success.content, { "text/event-stream": {} });
  return {
    summary,
    ...(needsKey && { security: [{ [KEY]: [] }] }),
    parameters: [...inPath, ...(body ? inHeaders : [])],
    ...(body && { requestBody: { required: true, content: jsonOf(body) } }),
    responses: { 200: success, ...Object.fromEntries(failed) },
  };
}

const said = (description: string, schema: SchemaName) => ({ description, content: jsonOf(schema) });
const jsonOf = (name: SchemaName): Record<string, object> => ({
  "application/json": { schema: { $ref: `#/components/schemas/${name}` } },
});
