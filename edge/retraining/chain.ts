/**
 * The chain that retrains a draft, from "is there new traffic?" to "promoted" or "kept what was".
 *
 * Pure: what it does to the world it does through `ChainWorld`, and every such thing is a step. A workflow keeps each
 * step's result, so a chain that was killed anywhere runs again from the top and finds what was done; a step that was
 * cut off is done again, so every step may be done twice. Nothing here touches what users are served but the canary
 * and its end.
 */
import type { ChainContext } from "./chain-context.ts";
import type { ChainEnd, ChainOrder, ChainWorld, Steps } from "./chain-types.ts";
import { lookForTraffic, trainOn } from "./lesson.ts";
import type { ChainSettings } from "./settings.ts";
import { told, tryAsCanary } from "./trial.ts";

/** Runs the chain to its end. Never rejects but for what the steps' keeper throws to stop it. */
export async function runChain(
  order: ChainOrder,
  settings: ChainSettings,
  steps: Steps,
  world: ChainWorld,
): Promise<ChainEnd> {
  const chain = new Chain({ order, settings, steps, world });
  try {
    return await chain.run();
  } catch (error) {
    return await chain.giveUp(error instanceof Error ? error.message : String(error));
  }
}

class Chain {
  readonly #context: ChainContext;
  /** What may be the canary by now. */
  #candidate: string | undefined;

  constructor(context: ChainContext) {
    this.#context = context;
  }

  async run(): Promise<ChainEnd> {
    const { order, settings } = this.#context;
    const traffic = await lookForTraffic(this.#context);
    if (!order.forced && traffic.requests < settings.minTraffic) {
      return this.#end("skipped", `${traffic.requests} new requests, ${settings.minTraffic} are needed`);
    }
    const job = await trainOn(this.#context, traffic);
    if (job.state !== "succeeded") {
      return this.#end("failed", `job ${job.id} ${job.state}${job.error ? `: ${job.error}` : ""}`);
    }
    if (traffic.parent === null) return this.#promote(job.release, "there was no release to compare with");
    this.#candidate = job.release;
    const verdict = await tryAsCanary(this.#context, job.release);
    if (verdict?.kind === "better") return this.#promote(job.release, told(verdict));
    return this.#keep(job.release, verdict ? told(verdict) : "not judged in time");
  }

  async giveUp(reason: string): Promise<ChainEnd> {
    const { order, steps, world } = this.#context;
    const release = this.#candidate;
    if (release !== undefined)
      await steps.do("give up the canary", () => world.endCanary(order.target, release));
    return this.#end("failed", reason);
  }

  async #promote(release: string, note: string): Promise<ChainEnd> {
    const { order, steps, world } = this.#context;
    await steps.do("promote", () => world.promote(order.target, release));
    return this.#end("promoted", note);
  }

  async #keep(release: string, note: string): Promise<ChainEnd> {
    const { order, steps, world } = this.#context;
    await steps.do("end the canary", () => world.endCanary(order.target, release));
    return this.#end("kept", note);
  }

  #end(state: ChainEnd, note: string): Promise<ChainEnd> {
    const { order, steps, world } = this.#context;
    return steps.do("end", async () => {
      await world.record(order.id, `${state}: ${note}`, { state, note });
      return state;
    });
  }
}
