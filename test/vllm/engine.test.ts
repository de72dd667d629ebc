import { describe, expect, it } from "vitest";
import { describeEngine } from "../support/engine-suite.ts";
import { startTiny } from "./start.ts";

describeEngine("the vllm engine", {
  cacheBlock: 128,
  logprobsWithin: 1e-5,
  start: () => startTiny(),
});

describe("what is wrong is said by name", () => {
  it.each([
    [{ VLLM_PYTHON: "/nonexistent/python" }, /nonexistent\/python/],
    [{ VLLM_DTYPE: "float16", TENSOR_PARALLEL: "3" }, /attention heads|divisible/],
  ])("%o", async (env, message) => {
    await expect(startTiny(env)).rejects.toThrow(message);
  });
});
