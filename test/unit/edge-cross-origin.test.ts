import { expect, it } from "vitest";
import { createApp } from "../../edge/api/app.ts";
import type { Services } from "../../edge/api/context.ts";

const PAGE = "https://page.example";
const KEY = { id: "key_1", scopes: ["completions"], quota: null };

/** The API with nothing behind it but a key. */
function api(corsOrigins: string[]) {
  const services = {
    config: { corsOrigins, target: "m" },
    keys: { find: async (key: string) => (key === "good" ? KEY : null) },
    limitRate: async () => true,
    text: async () => Promise.reject(new Error("there is none")),
  };
  return createApp(() => services as unknown as Services);
}
const ask = (origins: string[], path: string, headers: Record<string, string>, method = "GET") =>
  api(origins).request(path, { method, headers: { origin: PAGE, ...headers } });
const preflight = (origins: string[], path: string) =>
  ask(
    origins,
    path,
    {
      "access-control-request-method": "POST",
      "access-control-request-headers": "authorization,x-stainless-os",
    },
    "OPTIONS",
  );
const allowed = (response: Response) => response.headers.get("access-control-allow-origin");

it("lets no page of another origin in by default", async () => {
  expect(allowed(await preflight([], "/v1/completions"))).toBeNull();
  expect(allowed(await ask([], "/v1/models", { authorization: "Bearer good" }))).toBeNull();
});

it("answers a configured origin, whatever headers it sends", async () => {
  const answer = await preflight([PAGE, "http://localhost:3000"], "/v1/completions");
  expect(answer.status).toBe(204);
  expect(allowed(answer)).toBe(PAGE);
  expect(answer.headers.get("access-control-allow-headers")).toContain("x-stainless-os");
  expect(allowed(await preflight(["*"], "/v1/chat/completions"))).toBe("*");
  expect(allowed(await preflight(["https://other.example"], "/v1/completions"))).toBeNull();
});

it("lets such a page read answers, errors too", async () => {
  const good = await ask([PAGE], "/v1/models", { authorization: "Bearer good" });
  const bad = await ask([PAGE], "/v1/models", {});
  expect([good.status, bad.status]).toEqual([200, 401]);
  for (const answer of [good, bad, await ask([PAGE], "/openapi.json", {})]) {
    expect(allowed(answer)).toBe(PAGE);
    expect(answer.headers.get("access-control-expose-headers")).toContain("x-request-id");
  }
});

it("never opens the admin API to a page", async () => {
  for (const method of ["GET", "DELETE"]) {
    expect(allowed(await ask(["*"], "/admin/keys", { authorization: "Bearer good" }, method))).toBeNull();
  }
  expect(allowed(await preflight(["*"], "/admin/keys"))).toBeNull();
});
