/** Tests that need vLLM's environment: `npm run test:vllm`. Processes of seconds to start, one file at a time. */
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    name: "vllm",
    include: ["test/vllm/**/*.test.ts"],
    environment: "node",
    testTimeout: 600_000,
    hookTimeout: 600_000,
    fileParallelism: false,
  },
});
