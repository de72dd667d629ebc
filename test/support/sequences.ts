/** Shorthands for tests of the verifier: settings, starts, a scheduler run to its end. */
import type { Sampling, VerifierFrame } from "../../gpu-service/protocol/frames.ts";
import type { StartFrame } from "../../gpu-service/verify/engines/engine.ts";
import { CostTable } from "../../gpu-service/verify/scheduler/cost.ts";
import { Scheduler, type SchedulerOptions } from "../../gpu-service/verify/scheduler/scheduler.ts";
import type { FakeTarget } from "./fake-target.ts";

export const GREEDY: Sampling = {
  temperature: 0,
  top_p: 1,
  top_k: 0,
  min_p: 0,
  seed: "1",
  presence_penalty: 0,
  frequency_penalty: 0,
  logit_bias: [],
};

export const startFrame = (stream: number, prompt: number[], more: Partial<StartFrame> = {}): StartFrame => ({
  type: "start",
  stream,
  prompt,
  sampling: GREEDY,
  max_tokens: 16,
  stop_ids: [],
  drafts: true,
  tenant: "t",
  ...more,
});

/** Extra rows are nearly free: hints are run whenever they are there. */
const cheapRows = () =>
  new CostTable([
    { slots: 1, rows: 1, ms: 10 },
    { slots: 1, rows: 65, ms: 11 },
  ]);

/** A scheduler whose clock is the model's. */
export function schedulerOn(model: FakeTarget, more: Partial<SchedulerOptions> = {}): Scheduler {
  const now = () => model.elapsedMs;
  const usual = { slots: 4, queueLimit: 16, queueTimeoutMs: 1e9, costs: cheapRows(), now };
  return new Scheduler(model, { ...usual, ...more });
}

/** The same, but its waits for hints pass at once, with nothing arriving meanwhile. */
export function schedulerFor(model: FakeTarget, more: Partial<SchedulerOptions> = {}): Scheduler {
  const scheduler = schedulerOn(model, more);
  const step = scheduler.step.bind(scheduler);
  scheduler.step = async () => {
    for (;;) {
      const report = await step();
      if (report || scheduler.wakeAt === undefined) return report;
      model.elapsedMs = scheduler.wakeAt;
    }
  };
  return scheduler;
}

/** Steps until nothing is left to do; all frames. */
export async function runAll(scheduler: Scheduler, mostSteps = 1000): Promise<VerifierFrame[]> {
  const frames: VerifierFrame[] = [];
  for (let step = 0; !scheduler.idle; step++) {
    if (step === mostSteps) throw new Error("the scheduler does not come to an end");
    await scheduler.step();
    frames.push(...scheduler.takeFrames());
  }
  return frames;
}

/** Ids of one stream's `tokens` frames; throws where positions do not join. */
export function idsOf(frames: readonly VerifierFrame[], stream: number, promptTokens: number): number[] {
  const ids: number[] = [];
  for (const frame of frames) {
    if (frame.type !== "tokens" || frame.stream !== stream) continue;
    if (frame.at !== promptTokens + ids.length) throw new Error(`tokens at ${frame.at} do not join`);
    ids.push(...frame.ids);
  }
  return ids;
}
