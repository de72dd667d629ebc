import { expect, it } from "vitest";
import { readConfig } from "../../edge/config.ts";

const PUBLIC_KEY = "A".repeat(43);
const GOOD = {
  TARGET: "m",
  VERIFIER_URLS: "ws://127.0.0.1:1, wss://verify.example/",
  LINK_KEY_ID: "k",
  LINK_SECRET: "s".repeat(32),
  TRUSTED_KEYS: JSON.stringify([{ id: "a", public_key: PUBLIC_KEY }]),
};

it("reads what is there and freezes it", () => {
  const config = readConfig({ ...GOOD, RELEASES: {}, DB: {} });
  expect(config).toMatchObject({
    target: "m",
    verifierUrls: ["ws://127.0.0.1:1", "wss://verify.example/"],
    trustedKeys: [{ id: "a", public_key: PUBLIC_KEY }],
    adminSecret: undefined,
    testHints: false,
    link: "auto",
    memory: true,
  });
  expect(Object.isFrozen(config)).toBe(true);
});

it("names every bad key at once", () => {
  const bad = {
    ...GOOD,
    TARGET: "",
    VERIFIER_URLS: "http://x",
    LINK_SECRET: "short",
    TRUSTED_KEYS: "{",
    ADMIN_SECRET: "x",
    TEST_HINTS: "yes",
    LINK: "warm",
    MEMORY: "off",
    CORS_ORIGINS: "example.org",
  };
  const message = (() => {
    try {
      readConfig(bad);
    } catch (error) {
      return (error as Error).message;
    }
    return "";
  })();
  for (const key of Object.keys(bad).filter((name) => name !== "LINK_KEY_ID"))
    expect(message).toContain(`${key}:`);
  expect(message).not.toContain("LINK_KEY_ID");
});

it("asks for what is missing", () => {
  expect(() => readConfig({})).toThrow(/TARGET.*VERIFIER_URLS.*LINK_KEY_ID.*LINK_SECRET.*TRUSTED_KEYS/);
});

const keys = (...list: [id: string, public_key: string][]) => ({
  TRUSTED_KEYS: JSON.stringify(list.map(([id, public_key]) => ({ id, public_key }))),
});

it.each([
  ["a key that is no Ed25519 key", keys(["a", "b"]), /TRUSTED_KEYS: every public_key/],
  [
    "two keys of one id",
    keys(["a", PUBLIC_KEY], ["a", PUBLIC_KEY]),
    /TRUSTED_KEYS: two keys have the same id/,
  ],
  ["plain ws beyond loopback", { VERIFIER_URLS: "ws://gpu.example:1" }, /VERIFIER_URLS: .* in the clear/],
  [
    "that beside other faults",
    { VERIFIER_URLS: "ws://gpu.example:1", TARGET: "" },
    /VERIFIER_URLS: .* clear/,
  ],
  ["an origin with a path", { CORS_ORIGINS: "https://a.example/x" }, /CORS_ORIGINS: must be/],
])("refuses %s", (_, change, message) => {
  expect(() => readConfig({ ...GOOD, ...change })).toThrow(message);
});

it("keeps nothing where told", () => {
  expect(readConfig({ ...GOOD, MEMORY: "0" }).memory).toBe(false);
});

it("takes plain ws beyond loopback where told", () => {
  const env = { ...GOOD, VERIFIER_URLS: "ws://gpu.example:1", VERIFIER_ALLOW_PLAIN: "1" };
  expect(readConfig(env).verifierUrls).toEqual(["ws://gpu.example:1"]);
});

it("lets no origin in unless told which", () => {
  expect(readConfig(GOOD).corsOrigins).toEqual([]);
  const CORS_ORIGINS = "https://a.example, http://localhost:3000";
  expect(readConfig({ ...GOOD, CORS_ORIGINS }).corsOrigins).toEqual(CORS_ORIGINS.split(", "));
  expect(readConfig({ ...GOOD, CORS_ORIGINS: "*" }).corsOrigins).toEqual(["*"]);
});
