/** A chain's first half: is there traffic to learn from? Then a job is posted, and waited for. */
import { isFinished, type JobState } from "../../gpu-service/protocol/jobs.ts";
import { type ChainContext, iso, MAX_TURNS } from "./chain-context.ts";

export type Traffic = { since: string; until: string; requests: number; parent: string | null };
export type EndedJob = { id: string; state: JobState; release: string; error: string | null };

export function lookForTraffic({ order, steps, world }: ChainContext): Promise<Traffic> {
  const { id, target } = order;
  return steps.do("look for traffic", async () => {
    const since = await world.unlearned(target);
    const until = iso(world.now());
    const requests = await world.countTraffic(since, until);
    const parent = await world.currentRelease(target);
    await world.record(id, "traffic counted", {
      ...{ state: "counting", traffic_since: since, traffic_until: until, requests, parent },
    });
    return { since, until, requests, parent };
  });
}

/** Waits for the training service's word first, and asks now and then after that. Throws where it takes too long. */
export async function trainOn(context: ChainContext, traffic: Traffic): Promise<EndedJob> {
  const { order, settings, steps, world } = context;
  const { eventTimeoutMs, pollMs, trainingLimitMs } = settings;
  const posted = await postJob(context, traffic);
  for (let turn = 0; turn < MAX_TURNS; turn++) {
    await steps.wait(`job's end ${turn}`, turn === 0 ? eventTimeoutMs : pollMs);
    const { job, late } = await steps.do(`ask for the job ${turn}`, async () => {
      const { id, state, release, error } = await world.job(posted.job);
      const now = world.now();
      await world.record(order.id, "", { wake_at: iso(now + pollMs) });
      return { job: { id, state, release, error }, late: now > posted.at + trainingLimitMs };
    });
    if (isFinished(job.state)) return job;
    if (late) break;
  }
  throw new Error(`job ${posted.job} has not ended in time`);
}

function postJob({ order, settings, steps, world }: ChainContext, { since, until, parent }: Traffic) {
  const { id, recipe } = order;
  return steps.do("post the job", async () => {
    const job = await world.postJob({ recipe, idempotency_key: id, traffic: { since, until }, parent });
    const at = world.now();
    await world.record(id, "job posted", {
      state: "training",
      ...{ job: job.id, release: job.release, wake_at: iso(at + settings.eventTimeoutMs) },
    });
    return { job: job.id, at };
  });
}
