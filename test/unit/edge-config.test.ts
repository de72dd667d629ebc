import { expect, it } from "vitest";
import { readConfig } from "../../edge/config.ts";

const GOOD = {
  TARGET: "m",
  VERIFIER_URLS: "ws://127.0.0.1:1, wss://verify.example/",
  LINK_KEY_ID: "k",
  LINK_SECRET: "s".repeat(32),
  TRUSTED_KEYS: '[{"id":"a","public_key":"b"}]',
};

it("reads what is there and freezes it", () => {
  const config = readConfig({ ...GOOD, RELEASES: {}, DB: {} });
  expect(config).toMatchObject({
    target: "m",
    verifierUrls: ["ws://127.0.0.1:1", "wss://verify.example/"],
    trustedKeys: [{ id: "a", public_key: "b" }],
    adminSecret: undefined,
    testHints: false,
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
