/** `GET /v1/models`: the one target that this installation serves. */
import type { Context } from "hono";
import type { AppEnv } from "./context.ts";
import { notFound } from "./errors.ts";

/** Clients want a date; the model's own is not known here. */
const model = (id: string) => ({ id, object: "model", created: 0, owned_by: "outrider" });

export function listModels(c: Context<AppEnv>): Response {
  const { services } = c.var;
  // Who lists the models is about to use one: what it needs is loaded meanwhile. A failure shows at its use.
  services.text().catch(() => undefined);
  return c.json({ object: "list", data: [model(services.config.target)] });
}

/** Says as well which draft release this isolate drafts with, and has it loaded: `npm start` waits for it. */
export function getModel(c: Context<AppEnv>): Response {
  const { services } = c.var;
  const id = c.req.param("id") ?? "";
  if (id === services.config.target) {
    services.text().catch(() => undefined);
    return c.json({ ...model(id), draft: services.draft() });
  }
  throw notFound(`The model ${id} does not exist.`, "model", "model_not_found");
}
