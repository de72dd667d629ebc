/** The jobs API over HTTP. */
import { type Context, Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { z } from "zod";
import { type JobOrder, newJobSchema } from "../../protocol/jobs.ts";
import type { Recipe } from "../../protocol/recipe.ts";
import { withOverrides } from "../jobs/overrides.ts";
import { RecipeError } from "../jobs/recipe-checks.ts";
import type { Recipes } from "../jobs/recipes.ts";
import type { JobStore } from "../jobs/store.ts";
import { requireBearer } from "./bearer.ts";
import { type ChangeChannel, channelsApi } from "./channels.ts";
import { ApiError, errorResponse } from "./errors.ts";
import { jobEvents } from "./events.ts";
import { logResponse } from "./logs.ts";
import { openApiDocument } from "./openapi.ts";

const MAX_BODY_BYTES = 65_536;
const listQuery = z.object({ limit: z.coerce.number().int().min(1).max(1_000).default(100) });

export type ApiParts = {
  store: JobStore;
  recipes: Recipes;
  logPath(id: string): string;
  /** Undefined: no authentication (loopback only; the configuration sees to that). */
  token: string | undefined;
  /** Whether finished jobs can be published. */
  canPublish: boolean;
  /** A new job's id, and the release it makes when the request names none. */
  newId(): string;
  newRelease(recipe: string): string;
  metrics: { contentType: string; text(): Promise<string> };
  /** Undefined: this service does not publish. */
  changeChannel?: ChangeChannel | undefined;
};

export function trainingApi(parts: ApiParts): Hono {
  const app = new Hono();
  app.onError((error, context) => errorResponse(context, error));
  app.notFound((context) => {
    throw new ApiError(404, `there is no ${context.req.method} ${context.req.path}`);
  });
  for (const path of ["/healthz", "/readyz"]) app.get(path, (context) => context.json({ status: "ok" }));
  app.get("/openapi.json", (context) => context.json(openApiDocument()));
  app.get("/metrics", async (context) =>
    context.body(await parts.metrics.text(), 200, { "content-type": parts.metrics.contentType }),
  );
  app.route("/v1/jobs", jobsApi(parts));
  app.route("/v1/channels", channelsApi(parts.token, parts.changeChannel));
  return app;
}

function jobsApi(parts: ApiParts): Hono {
  const { store } = parts;
  const app = new Hono();
  app.use(requireBearer(parts.token));
  app.use(
    bodyLimit({
      maxSize: MAX_BODY_BYTES,
      onError: () => {
        throw new ApiError(413, `the body is larger than ${MAX_BODY_BYTES} bytes`);
      },
    }),
  );
  app.post("/", async (context) => {
    const { job, created } = addJob(parts, await readNewJob(context));
    return context.json(job, created ? 201 : 200);
  });
  app.get("/", (context) => {
    const query = listQuery.safeParse(context.req.query());
    if (!query.success) throw new ApiError(400, `limit: ${query.error.issues[0]?.message}`, "limit");
    return context.json({ data: store.list(query.data.limit) });
  });
  app.get("/:id", (context) => context.json(mustFind(store, context.req.param("id"))));
  app.get("/:id/events", (context) => jobEvents(context, store, mustFind(store, context.req.param("id")).id));
  app.get("/:id/logs", (context) => logResponse(parts.logPath(mustFind(store, context.req.param("id")).id)));
  app.post("/:id/cancel", (context) => {
    const { id } = mustFind(store, context.req.param("id"));
    return context.json(store.requestCancel(id), 202);
  });
  return app;
}

function addJob(parts: ApiParts, wish: JobOrder) {
  const known = wish.idempotency_key === undefined ? undefined : parts.store.findByKey(wish.idempotency_key);
  if (known) return { job: known, created: false };
  const recipe = recipeOf(parts.recipes, wish);
  if (wish.publish !== "no" && !parts.canPublish) {
    throw new ApiError(
      409,
      "publish: this service has no bucket and edge configured (S3_ENDPOINT, EDGE_URL, ...)",
      "publish",
    );
  }
  return parts.store.add({
    ...wish,
    recipe,
    id: parts.newId(),
    release: wish.release ?? parts.newRelease(recipe.name),
  });
}

/** As it will run. */
function recipeOf(recipes: Recipes, { recipe, overrides }: JobOrder): Recipe {
  try {
    const whole = typeof recipe === "string" ? recipes.read(recipe) : recipe;
    return recipes.check(withOverrides(whole, overrides));
  } catch (error) {
    if (!(error instanceof RecipeError)) throw error;
    throw new ApiError(400, error.message, error.message.startsWith("overrides") ? "overrides" : "recipe");
  }
}

/** JSON by its declared type only: a page in a browser cannot send that to another origin unasked. */
async function readNewJob(context: Context): Promise<JobOrder> {
  if (!/^application\/json\b/.test(context.req.header("content-type") ?? "")) {
    throw new ApiError(415, "the body must be sent as content-type: application/json");
  }
  const body: unknown = await context.req.json().catch(() => {
    throw new ApiError(400, "the body is not JSON");
  });
  const result = newJobSchema.safeParse(body);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const param = issue?.path.join(".") || "body";
  throw new ApiError(400, `${param}: ${issue?.message}`, param);
}

function mustFind(store: JobStore, id: string) {
  const job = store.get(id);
  if (!job) throw new ApiError(404, `there is no job "${id}"`);
  return job;
}
