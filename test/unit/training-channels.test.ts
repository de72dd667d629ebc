import { expect, test } from "vitest";
import { channelsApi } from "../../gpu-service/training/api/channels.ts";
import { errorResponse } from "../../gpu-service/training/api/errors.ts";
import { PublishError } from "../../gpu-service/training/publish/errors.ts";

const TOKEN = "a token of more than thirty-two bytes";

function service(publishes = true) {
  const done: unknown[] = [];
  const change = async (target: string, wanted: { release: string }) => {
    if (wanted.release === "late") throw new PublishError("channel tiny: late is no longer the canary");
    done.push([target, wanted]);
  };
  const app = channelsApi(TOKEN, publishes ? change : undefined);
  app.onError((error, context) => errorResponse(context, error));
  const post = async (body: unknown, token = TOKEN) => {
    const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
    const response = await app.request("/tiny", { method: "POST", headers, body: JSON.stringify(body) });
    return { status: response.status, body: (await response.json()) as { error?: { message: string } } };
  };
  return { post, done };
}

test("the worker's chain starts a canary, promotes it, ends it", async () => {
  const { post, done } = service();
  const changes = [
    { action: "canary", release: "r", share: 0.1 },
    { action: "promote", release: "r" },
    { action: "end-canary", release: "r" },
  ];
  for (const change of changes) expect((await post(change)).status).toBe(200);
  expect(done).toEqual(changes.map((change) => ["tiny", change]));
});

test.each([
  [{ action: "canary", release: "r", share: 0 }, 400, "share:"],
  [{ action: "canary", release: "r", share: 1.1 }, 400, "share:"],
  [{ action: "promote", release: "../r" }, 400, "release:"],
  [{ action: "delete", release: "r" }, 400, "action:"],
  [{ action: "promote", release: "late" }, 409, "is no longer the canary"],
])("%j is refused with %d", async (change, status, message) => {
  const { post, done } = service();
  const refused = await post(change);
  expect([refused.status, refused.body.error?.message]).toEqual([status, expect.stringContaining(message)]);
  expect(done).toEqual([]);
});

test("a stranger changes nothing, and a service that does not publish says so", async () => {
  const change = { action: "promote", release: "r" };
  expect((await service().post(change, "guessed")).status).toBe(401);
  expect((await service(false).post(change)).status).toBe(409);
});
