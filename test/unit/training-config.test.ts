import { expect, test } from "vitest";
import { parseTrainingConfig } from "../../gpu-service/training/config.ts";

const least = { TRAINING_DATA: "/data", MODELS_ROOT: "/models" };
const publishing = {
  S3_ENDPOINT: "http://127.0.0.1:1/s3",
  S3_ACCESS_KEY_ID: "id",
  S3_SECRET_ACCESS_KEY: "secret",
  S3_BUCKET: "releases",
  EDGE_URL: "http://127.0.0.1:1",
  ADMIN_SECRET: "sixteen characters",
  KEYS_DIR: "/keys",
  GATES_PROGRAM: "/gates.ts",
  VERIFIER_URL: "ws://127.0.0.1:1",
  LINK_KEY_ID: "k",
  LINK_SECRET: "s",
};
const messageOf = (env: Record<string, string>): string => {
  const parsed = parseTrainingConfig(env);
  return parsed.ok ? "" : parsed.message;
};

test("the least configuration listens on loopback, without a token and without publishing", () => {
  expect(parseTrainingConfig({ ...least, TRAINING_TOKEN: "" })).toMatchObject({
    ok: true,
    value: { TRAINING_HOST: "127.0.0.1", publishing: null },
  });
  expect(parseTrainingConfig({ ...least, ...publishing })).toMatchObject({
    ok: true,
    value: { publishing: { S3_BUCKET: "releases" } },
  });
});

test("every bad key is named at once", () => {
  const message = messageOf({ TRAINING_PORT: "x", S3_ENDPOINT: "nowhere", OUTRIDER_TORCH: "tpu" });
  for (const key of [
    "TRAINING_DATA",
    "MODELS_ROOT",
    "TRAINING_PORT",
    "S3_ENDPOINT",
    "S3_BUCKET",
    "OUTRIDER_TORCH",
  ]) {
    expect(message).toContain(key);
  }
});

test.each([
  [{ TRAINING_HOST: "0.0.0.0" }, "TRAINING_TOKEN: needed to listen on 0.0.0.0"],
  [{ TRAINING_HOST: "0.0.0.0", TRAINING_TOKEN: "short" }, "TRAINING_TOKEN: has 5 bytes, needs at least 32"],
  [{ TRAINING_TOKEN: "short" }, "TRAINING_TOKEN: has 5 bytes, needs at least 32"],
  [{ TRAINING_HOST: "0.0.0.0", TRAINING_TOKEN: "x".repeat(32) }, ""],
])("a token of 32 bytes opens other hosts than loopback (%#)", (env, message) => {
  expect(messageOf({ ...least, ...env })).toContain(message);
  expect(messageOf({ ...least, ...env }) === "").toBe(message === "");
});
