/** The chain as a Cloudflare Workflow: its steps are kept and tried again, its waits end early when it is woken. */
import { WorkflowEntrypoint, type WorkflowEvent, type WorkflowStep } from "cloudflare:workers";
import { type Env, readConfig } from "../config.ts";
import { runChain } from "./chain.ts";
import type { ChainEnd, ChainOrder, Steps } from "./chain-types.ts";
import { WAKE } from "./schedule.ts";
import { chainWorld } from "./world.ts";

const STEP = {
  retries: { limit: 6, delay: "5 seconds", backoff: "exponential" },
  timeout: "2 minutes",
} as const;

export class RetrainingWorkflow extends WorkflowEntrypoint<Env, ChainOrder> {
  override async run(event: Readonly<WorkflowEvent<ChainOrder>>, step: WorkflowStep): Promise<ChainEnd> {
    const config = readConfig(this.env);
    return runChain(event.payload, config.retraining, stepsOf(step), chainWorld(this.env, config));
  }
}

const stepsOf = (step: WorkflowStep): Steps => ({
  async do<T>(name: string, work: () => Promise<T>): Promise<T> {
    // JSON: what a step gives is kept, and must be what the next run of the chain reads back.
    const kept = await step.do(name, STEP, async () => JSON.stringify((await work()) ?? null));
    return JSON.parse(kept) as T;
  },
  async wait(name, ms) {
    try {
      await step.waitForEvent(name, { type: WAKE, timeout: ms });
    } catch (error) {
      if (!isTimeout(error)) throw error;
    }
  },
});

const isTimeout = (error: unknown): boolean =>
  error instanceof Error && (error.name === "WorkflowTimeoutError" || /timed out/i.test(error.message));
