import { expect, it } from "vitest";
import { trafficCommand, USAGE } from "../../../infra/releases/traffic.ts";

/** An admin API that gives this answer and notes what it was asked. */
function admin(answer: object, status = 200) {
  const asked: string[] = [];
  const fetch = async (url: unknown, init: RequestInit = {}) => {
    asked.push(`${init.method} ${url}`);
    return Response.json(answer, { status });
  };
  return { asked, admin: { address: "http://edge", secret: "s", fetch: fetch as typeof globalThis.fetch } };
}

it("lists what was captured, by key", async () => {
  const first = { key: "key_1", objects: 2, requests: 9, bytes: 4000 };
  const none = { key: "key_2", objects: 0, requests: 0, bytes: 0, first_day: null, last_day: null };
  const data = [
    { ...first, first_day: "2026-11-23", last_day: "2026-11-24" },
    { ...first, first_day: "2026-11-24", last_day: "2026-11-24" },
    none,
  ];
  const { admin: api } = admin({ data });
  expect(await trafficCommand(["list"], api)).toEqual([
    "key_1  9 completions  2 batches  4000 bytes  2026-11-23 to 2026-11-24",
    "key_1  9 completions  2 batches  4000 bytes  2026-11-24",
    "key_2  0 completions  0 batches  0 bytes",
  ]);
  expect(await trafficCommand(["list"], admin({ data: [] }).admin)).toEqual(["nothing was captured"]);
});

it("deletes by key, and says what that does not undo", async () => {
  const { admin: api, asked } = admin({ key: "key_1", subject: "0".repeat(32), objects: 3 });
  const lines = await trafficCommand(["delete", "--key", "key_1"], api);
  expect(lines[0]).toBe("key_1: 3 batches deleted; nothing of it is captured any more");
  expect(lines[1]).toContain("docs/operations.md");
  expect(asked).toEqual(["DELETE http://edge/admin/traffic/key_1"]);
  const nothing = admin({ key: "key_1", subject: null, objects: 0 });
  expect(await trafficCommand(["delete", "--key", "key_1"], nothing.admin)).toHaveLength(1);
});

it.each([[[]], [["list", "more"]], [["delete"]], [["list", "--kye", "x"]]])(
  "explains itself at %j",
  async (args) => {
    await expect(trafficCommand(args, admin({}).admin)).rejects.toThrow(USAGE);
  },
);

it("tells what the worker says", async () => {
  const { admin: api } = admin({ error: { message: "There is no key key_9." } }, 404);
  await expect(trafficCommand(["delete", "--key", "key_9"], api)).rejects.toThrow("There is no key key_9.");
});
