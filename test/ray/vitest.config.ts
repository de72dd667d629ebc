/** Run by `npm test -- ray`, which makes the environment first and names it by RAY_VENV. */
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/ray/**/*.test.ts"],
    testTimeout: 600_000,
    hookTimeout: 300_000,
    fileParallelism: false,
  },
});
