import { expect, it } from "vitest";
import { keysCommand } from "../../../infra/releases/api-keys.ts";

type Asked = { url: string; method: string; authorization: string; body: unknown };

/** An admin API that gives this answer and notes what it was asked. */
function admin(answer: object, status = 200) {
  const asked: Asked[] = [];
  const fetch = async (url: unknown, init: RequestInit = {}) => {
    const { authorization = "" } = init.headers as Record<string, string>;
    const body = init.body === undefined ? undefined : JSON.parse(String(init.body));
    asked.push({ url: String(url), method: init.method ?? "GET", authorization, body });
    return Response.json(answer, { status });
  };
  return { asked, admin: { address: "http://edge", secret: "s", fetch: fetch as typeof globalThis.fetch } };
}

it("makes a key on the wished terms and shows it", async () => {
  const { admin: api, asked } = admin({ id: "key_1", key: "sk-1" });
  const args = ["create", "ada", "--scopes", "completions,admin", "--expires", "2030-01-01", "--capture"];
  expect(await keysCommand([...args, "--quota", "5000/day"], api)).toEqual(["key_1  sk-1"]);
  const body = {
    ...{ name: "ada", scopes: ["completions", "admin"], capture: true },
    ...{ expires: "2030-01-01T00:00:00.000Z", quota: { tokens: 5000, period: "day" } },
  };
  expect(asked).toEqual([{ url: "http://edge/admin/keys", method: "POST", authorization: "Bearer s", body }]);
});

it("lists keys and revokes one", async () => {
  const key = {
    ...{ id: "key_1", prefix: "sk-outrider-ab", name: "ada", scopes: ["completions"], expires: null },
    ...{ revoked: null, quota: { tokens: 9, period: "ever" } },
  };
  const { admin: api, asked } = admin({ data: [key] });
  expect(await keysCommand(["list"], api)).toEqual(["key_1  sk-outrider-ab…  ada  completions  9/ever"]);
  expect(await keysCommand(["revoke", "key_1"], api)).toEqual(["key_1 revoked"]);
  expect(asked[1]).toMatchObject({ url: "http://edge/admin/keys/key_1", method: "DELETE" });
});

it.each([
  [[], /npm run keys/],
  [["create"], /NAME/],
  [["create", "a", "b"], /NAME/],
  [["create", "a", "--quota", "many"], /TOKENS\/PERIOD/],
  [["create", "a", "--expires", "soon"], /Invalid/],
  [["create", "a", "--scope", "x"], /--scope/],
  [["revoke"], /ID is missing/],
])("says what is wrong with %j", async (args, message) => {
  const { admin: api, asked } = admin({});
  await expect(keysCommand(args, api)).rejects.toThrow(message);
  expect(asked).toEqual([]);
});

it("says what the worker refused", async () => {
  const { admin: api } = admin({ error: { message: "There is no key x." } }, 404);
  await expect(keysCommand(["revoke", "x"], api)).rejects.toThrow("There is no key x.");
});
