/** The document says of every route of the service what the route does, and of no other. */
import { join } from "node:path";
import { expect, test } from "vitest";
import { z } from "zod";
import { trainingApi } from "../../gpu-service/training/api/app.ts";
import { trainingMetrics } from "../../gpu-service/training/api/metrics.ts";
import { openService } from "../support/training.ts";
import { prepareFolder } from "../support/training-folder.ts";

const documentSchema = z.object({
  openapi: z.literal("3.1.0"),
  paths: z.record(
    z.string(),
    z.record(
      z.string(),
      z.looseObject({
        summary: z.string(),
        security: z.array(z.unknown()).optional(),
        responses: z.record(z.string(), z.unknown()),
      }),
    ),
  ),
  components: z.object({ schemas: z.record(z.string(), z.looseObject({})) }),
});

function service() {
  const folder = prepareFolder({ fake: { steps: 1 } });
  const { store, recipes } = openService(folder);
  return trainingApi({
    ...{ store, recipes, token: "a token of more than thirty-two bytes", canPublish: true },
    logPath: (id) => join(folder, id),
    newId: () => "job-1",
    newRelease: (recipe) => recipe,
    metrics: trainingMetrics(store),
    changeChannel: undefined,
  });
}

const read = async (app: ReturnType<typeof service>) =>
  documentSchema.parse(await (await app.request("/openapi.json")).json());

test("every route is described, and nothing else", async () => {
  const app = service();
  const routes = app.routes
    .filter(({ method }) => method !== "ALL")
    .map(({ method, path }) => `${method} ${path.replace(/\/$/, "").replace(/:(\w+)/g, "{$1}")}`);
  const { paths } = await read(app);
  const described = Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  );
  expect(described.sort()).toEqual([...new Set(routes)].sort());
});

test("what is said to need a token needs one, and what is said to be open is", async () => {
  const app = service();
  for (const [path, methods] of Object.entries((await read(app)).paths)) {
    for (const [method, { security, responses }] of Object.entries(methods)) {
      const response = await app.request(path.replace(/\{\w+\}/, "x"), { method: method.toUpperCase() });
      const what = `${method} ${path}`;
      expect(response.status, what).toBe(security ? 401 : 200);
      expect(Object.keys(responses), what).toContain(String(response.status));
    }
  }
});

test("every schema that is named is there, and a job's says what may be overridden", async () => {
  const document = await read(service());
  const named = [...JSON.stringify(document).matchAll(/#\/components\/schemas\/(\w+)/g)].map(
    ([, name]) => name!,
  );
  expect(Object.keys(document.components.schemas)).toEqual(expect.arrayContaining([...new Set(named)]));
  const wanted = z.looseObject({
    properties: z.record(z.string(), z.unknown()),
    required: z.array(z.string()),
  });
  const job = wanted.parse(document.components.schemas.NewJob);
  expect(job.required).toEqual(["recipe"]);
  expect(Object.keys(job.properties)).toEqual(
    expect.arrayContaining(["overrides", "traffic", "parent", "publish", "idempotency_key"]),
  );
});
