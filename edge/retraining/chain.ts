/**
 * The chain that retrains a draft, from "is there new traffic?" to "promoted" or "kept what was".
 *
 * Pure: what it does to the world it does through `ChainWorld`, and every such thing is a step. A workflow keeps each
 * step's result, so a chain that was killed anywhere runs again from the top and finds what was done; a step that was
 * cut off is done again, so every step may be done twice. Nothing here touches what users are served but the canary
 * and its end.
 */
import { isFinished } from "../../gpu-service/protocol/jobs.ts";
import type { ChainEnd, ChainOrder, ChainWorld, Steps } from "./chain-types.ts";
import type { ChainSettings } from "./settings.ts";
import { type Verdict, verdictOf } from "./verdict.ts";

const MAX_TURNS = 250;

/** Runs the chain to its end. Never rejects but for what the steps' keeper throws to stop it. */
export async function runChain(
  order: ChainOrder,
  settings: ChainSettings,
  steps: Steps,
  world: ChainWorld,
): Promise<ChainEnd> {
  const chain = new Chain(order, settings, steps, world);
  try {
    return await chain.run();
  } catch (error) {
    return await chain.giveUp(error instanceof Error ? error.message : String(error));
  }
}

class Chain {
  readonly #order: ChainOrder;
  readonly #settings: ChainSettings;
  readonly #steps: Steps;
  readonly #world: ChainWorld;
  #candidate: string | undefined;

  constructor(order: ChainOrder, settings: ChainSettings, steps: Steps, world: ChainWorld) {
    this.#order = order;
    this.#settings = settings;
    this.#steps = steps;
    this.#world = world;
  }

  async run(): Promise<ChainEnd> {
    const traffic = await this.#lookForTraffic();
    if (!this.#order.forced && traffic.requests < this.#settings.minTraffic) {
      const { requests } = traffic;
      return this.#end("skipped", `${requests} new requests, ${this.#settings.minTraffic} are needed`);
    }
    const job = await this.#train(traffic);
    if (job.state !== "succeeded") {
      return this.#end("failed", `job ${job.id} ${job.state}${job.error ? `: ${job.error}` : ""}`);
    }
    if (traffic.parent === null) return this.#promote(job.release, "there was no release to compare with");
    const verdict = await this.#try(job.release);
    if (verdict?.kind === "better") return this.#promote(job.release, told(verdict));
    return this.#keep(job.release, verdict ? told(verdict) : "not judged in time");
  }

  async giveUp(reason: string): Promise<ChainEnd> {
    const release = this.#candidate;
    if (release !== undefined)
      await this.#steps.do("give up the canary", () => this.#world.endCanary(this.#order.target, release));
    return this.#end("failed", reason);
  }

  #lookForTraffic() {
    const { id, target } = this.#order;
    return this.#steps.do("look for traffic", async () => {
      const since = await this.#world.unlearned(target);
      const until = iso(this.#world.now());
      const requests = await this.#world.countTraffic(since, until);
      const parent = await this.#world.currentRelease(target);
      await this.#world.record(id, "traffic counted", {
        state: "counting",
        traffic_since: since,
        traffic_until: until,
        requests,
        parent,
      });
      return { since, until, requests, parent };
    });
  }

  /** Posts the job and waits for its end: for the training service's word first, asking now and then after that. */
  async #train({ since, until, parent }: { since: string; until: string; parent: string | null }) {
    const { id, recipe } = this.#order;
    const { eventTimeoutMs, pollMs, trainingLimitMs } = this.#settings;
    const posted = await this.#steps.do("post the job", async () => {
      const job = await this.#world.postJob({
        recipe,
        idempotency_key: id,
        traffic: { since, until },
        parent,
      });
      const at = this.#world.now();
      await this.#world.record(id, "job posted", {
        state: "training",
        job: job.id,
        release: job.release,
        wake_at: iso(at + eventTimeoutMs),
      });
      return { job: job.id, at };
    });
    for (let turn = 0; turn < MAX_TURNS; turn++) {
      await this.#steps.wait(`job's end ${turn}`, turn === 0 ? eventTimeoutMs : pollMs);
      const { job, late } = await this.#steps.do(`ask for the job ${turn}`, async () => {
        const { id: job, state, release, error } = await this.#world.job(posted.job);
        const now = this.#world.now();
        await this.#world.record(id, "", { wake_at: iso(now + pollMs) });
        return { job: { id: job, state, release, error }, late: now > posted.at + trainingLimitMs };
      });
      if (isFinished(job.state)) return job;
      if (late) break;
    }
    throw new Error(`job ${posted.job} has not ended in time`);
  }

  /** The canary's trial; null where the time is up before its verdict. */
  async #try(release: string): Promise<Verdict | null> {
    const { id, target } = this.#order;
    const { share, trial, pollMs, canaryLimitMs } = this.#settings;
    this.#candidate = release;
    const { baseline, began } = await this.#steps.do("start the canary", async () => {
      await this.#world.startCanary(target, release, share);
      const baseline = await this.#world.currentRelease(target);
      if (baseline === null) throw new Error(`channel ${target} has no release to compare with`);
      const at = this.#world.now();
      await this.#world.record(id, "canary started", {
        state: "canary",
        release,
        canary_since: iso(at),
        wake_at: iso(at + pollMs),
      });
      return { baseline, began: at };
    });
    let looked = 0;
    for (let turn = 0; turn < MAX_TURNS; turn++) {
      await this.#steps.wait(`requests ${turn}`, pollMs);
      const look = await this.#steps.do(`compare ${turn}`, async () => {
        const arms = await this.#world.acceptance(target, { candidate: release, baseline }, iso(began));
        const verdict = verdictOf(arms, looked, trial);
        const now = this.#world.now();
        const done = verdict.kind === "wait" ? "" : `look ${looked + 1}: ${told(verdict)}`;
        await this.#world.record(id, done, { wake_at: iso(now + pollMs) });
        return { verdict, late: now > began + canaryLimitMs };
      });
      const { kind } = look.verdict;
      if (kind === "better" || kind === "worse" || kind === "even") return look.verdict;
      if (kind === "unsure") looked++;
      if (look.late) break;
    }
    return null;
  }

  async #promote(release: string, note: string): Promise<ChainEnd> {
    await this.#steps.do("promote", () => this.#world.promote(this.#order.target, release));
    return this.#end("promoted", note);
  }

  async #keep(release: string, note: string): Promise<ChainEnd> {
    await this.#steps.do("end the canary", () => this.#world.endCanary(this.#order.target, release));
    return this.#end("kept", note);
  }

  #end(state: ChainEnd, note: string): Promise<ChainEnd> {
    return this.#steps.do("end", async () => {
      await this.#world.record(this.#order.id, `${state}: ${note}`, { state, note });
      return state;
    });
  }
}

const iso = (time: number): string => new Date(time).toISOString();

function told(verdict: Verdict): string {
  if (verdict.kind === "wait") return `${verdict.needed} requests of each are needed`;
  const { seen, test } = verdict;
  return (
    `${verdict.kind}: acceptance ${seen.candidate.toFixed(4)} of ${seen.requests.candidate} requests against ` +
    `${seen.baseline.toFixed(4)} of ${seen.requests.baseline}, p ${test.p.toPrecision(2)}`
  );
}
