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

export function getModel(c: Context<AppEnv>): Response {
  const id = c.req.param("id") ?? "";
  if (id === c.var.services.config.target) return c.json(model(id));
  throw notFound(`The model ${id} does not exist.`, "model", "model_not_found");
}
