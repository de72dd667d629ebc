import { ensureTinyModel } from "../../infra/models/tiny-model.ts";
import { openDataFolder } from "../../infra/start/paths.ts";
import { describeEngine } from "../support/engine-suite.ts";
import { startVerifier } from "../support/verifier-process.ts";

/** Time enough for a hint or a cancel to arrive. */
const STEP_MS = 3;

describeEngine("the onnx engine", {
  cacheBlock: 1,
  logprobsWithin: 0,
  async start() {
    const env = { SLOTS: "4", QUEUE_LIMIT: "8", CONTEXT: "512" };
    return startVerifier(await ensureTinyModel(openDataFolder()), env, STEP_MS);
  },
});
