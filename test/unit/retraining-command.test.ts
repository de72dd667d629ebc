import { expect, test } from "vitest";
import { retrainingCommand } from "../../infra/releases/retraining.ts";

const CHAIN = {
  ...{ id: "c-1", target: "tiny", state: "kept", started: "2026-01-01", ended: "2026-01-02" },
  ...{ requests: 12, job: "job-1", parent: "first", release: "second", note: "worse" },
};
const AUDIT = [
  { chain: "c-1", at: "2026-01-01T03:09", done: "kept: worse", facts: {} },
  { chain: "other", at: "2026-01-01T03:05", done: "not of this chain", facts: {} },
  { chain: "c-1", at: "2026-01-01T03:00", done: "traffic counted", facts: {} },
];

function worker(body: unknown, status = 200) {
  const asked: string[] = [];
  const fetch = (async (url: string, init: RequestInit) => {
    asked.push(`${init.method} ${url} ${JSON.stringify(init.headers)}`);
    return Response.json(body, { status });
  }) as typeof globalThis.fetch;
  return { admin: { address: "http://edge.test", secret: "s", fetch }, asked };
}

test("status tells every chain and what it did, in order", async () => {
  const { admin, asked } = worker({ chains: [CHAIN], audit: AUDIT });
  expect(await retrainingCommand(["status"], admin)).toEqual([
    "c-1  tiny  kept  12 new requests  from first  job-1  makes second",
    "    2026-01-01T03:00  traffic counted",
    "    2026-01-01T03:09  kept: worse",
  ]);
  expect(asked).toEqual(['GET http://edge.test/admin/retraining {"authorization":"Bearer s"}']);
  expect(await retrainingCommand(["status"], worker({ chains: [], audit: [] }).admin)).toEqual([
    "no chain yet",
  ]);
});

test("run-now begins a chain", async () => {
  const { admin, asked } = worker({ id: "by-hand-1" }, 201);
  expect(await retrainingCommand(["run-now"], admin)).toEqual(["by-hand-1 begins"]);
  expect(asked[0]).toMatch(/^POST /);
});

test.each([
  [["status", "twice"], worker({}), "npm run retraining -- COMMAND"],
  [[], worker({}), "npm run retraining -- COMMAND"],
  [
    ["run-now"],
    worker({ error: { message: "RETRAIN_RECIPE is not set" } }, 409),
    "RETRAIN_RECIPE is not set",
  ],
  [["status"], worker(null, 502), "the worker answered 502"],
])("%j is refused in words", async (args, { admin }, message) => {
  await expect(retrainingCommand(args, admin)).rejects.toThrow(message);
});
