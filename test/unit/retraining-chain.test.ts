import { expect, test } from "vitest";
import { runChain } from "../../edge/retraining/chain.ts";
import type { ChainWorld, Steps } from "../../edge/retraining/chain-types.ts";
import { NO_REQUESTS, type RequestSums } from "../../edge/retraining/ratio.ts";
import { DEFAULT_SETTINGS } from "../../edge/retraining/settings.ts";
import type { Job } from "../../gpu-service/protocol/jobs.ts";

const ORDER = { id: "chain-1", target: "tiny", recipe: "tiny-traffic", forced: false };
const SETTINGS = {
  ...DEFAULT_SETTINGS,
  minTraffic: 100,
  trial: { minRequests: 50, looks: 2, significance: 0.05 },
};

/** `requests` that drafted 10 tokens each and of which every other one has one more accepted than the rest. */
function sums(requests: number, accepted: number): RequestSums {
  const lucky = Math.floor(requests / 2);
  return {
    requests,
    drafted: 10 * requests,
    accepted: accepted * requests + lucky,
    drafted_squares: 100 * requests,
    accepted_squares: accepted ** 2 * (requests - lucky) + (accepted + 1) ** 2 * lucky,
    products: 10 * (accepted * requests + lucky),
  };
}

type Plan = {
  traffic?: number;
  parent?: string | null;
  jobEnds?: Pick<Job, "state" | "error">;
  /** Answers "running" so many times. */
  jobTurns?: number;
  arms?: (look: number) => { candidate: RequestSums; baseline: RequestSums };
  broken?: keyof ChainWorld;
};

/** A world in memory. Everything in it bears being done twice, as the real one does. */
function worldOf(plan: Plan = {}) {
  const channel = {
    current: plan.parent === undefined ? "first" : plan.parent,
    canary: null as string | null,
  };
  const jobs = new Map<string, string>();
  const done: string[] = [];
  let clock = Date.UTC(2026, 0, 1);
  let asked = 0;
  let looks = 0;
  const jobOf = (id: string): Job => {
    const ended =
      asked++ >= (plan.jobTurns ?? 0) ? (plan.jobEnds ?? { state: "succeeded", error: null }) : null;
    const state = ended?.state ?? "running";
    const nothing = { started: null, finished: null, progress: null };
    return {
      ...nothing,
      id,
      recipe: ORDER.recipe,
      release: "second",
      state,
      error: ended?.error ?? null,
    } as Job;
  };
  const world: ChainWorld = {
    now: () => clock,
    unlearned: async () => "2025-12-31T00:00:00.000Z",
    countTraffic: async () => plan.traffic ?? 100,
    currentRelease: async () => channel.current,
    postJob: async ({ idempotency_key }) => {
      if (!jobs.has(idempotency_key)) jobs.set(idempotency_key, `job-${jobs.size + 1}`);
      return { ...jobOf(jobs.get(idempotency_key)!), state: "queued" };
    },
    job: async (id) => jobOf(id),
    startCanary: async (_, release) => {
      channel.canary = release;
    },
    promote: async (_, release) => {
      if (channel.current === release) return;
      if (channel.current !== null && channel.canary !== release) throw new Error(`${release} is no canary`);
      Object.assign(channel, { current: release, canary: null });
    },
    endCanary: async (_, release) => {
      if (channel.canary === release) channel.canary = null;
    },
    acceptance: async () => plan.arms?.(++looks) ?? { candidate: sums(60, 7), baseline: sums(60, 5) },
    record: async (_, what) => {
      if (what !== "" && !done.includes(what)) done.push(what);
    },
  };
  if (plan.broken !== undefined) {
    world[plan.broken] = (() => Promise.reject(new Error(`${plan.broken} is broken`))) as never;
  }
  return { world, channel, jobs, done, sleep: (ms: number) => (clock += ms) };
}

class Killed extends Error {}

/** Keeps results as a workflow does; `killAt`: the step, counted from 1, at whose end or begin the process is killed. */
function keeperOf(sleep: (ms: number) => void) {
  const kept = new Map<string, string>();
  const waits: number[] = [];
  const run = (killAt = Infinity, before = false): Steps => {
    let step = 0;
    let dead = false;
    return {
      async do<T>(name: string, work: () => Promise<T>): Promise<T> {
        if (dead) throw new Killed();
        if (kept.has(name)) return JSON.parse(kept.get(name)!) as T;
        const killed = ++step === killAt;
        if (killed && before) dead = true;
        if (dead) throw new Killed();
        const result = await work();
        if (killed) dead = true;
        if (dead) throw new Killed();
        kept.set(name, JSON.stringify(result ?? null));
        return result;
      },
      async wait(name, ms) {
        if (dead) throw new Killed();
        if (kept.has(name)) return;
        waits.push(ms);
        sleep(ms);
        kept.set(name, "");
      },
    };
  };
  return { run, waits };
}

async function runThrough(plan: Plan, order = ORDER) {
  const there = worldOf(plan);
  const keeper = keeperOf(there.sleep);
  return { end: await runChain(order, SETTINGS, keeper.run(), there.world), ...there, ...keeper };
}

const even = () => ({ candidate: sums(120, 5), baseline: sums(120, 5) });
test.each([
  ["better", {}, "promoted", "second"],
  ["worse", { arms: () => ({ candidate: sums(60, 3), baseline: sums(60, 5) }) }, "kept", "first"],
  ["no better at the last look", { arms: even }, "kept", "first"],
  ["never asked for", { arms: () => ({ candidate: NO_REQUESTS, baseline: sums(900, 5) }) }, "kept", "first"],
  ["of a failed job", { jobEnds: { state: "failed", error: "out of memory" } }, "failed", "first"],
  ["of a cancelled job", { jobEnds: { state: "cancelled", error: null } }, "failed", "first"],
  ["without traffic to learn from", { traffic: 99 }, "skipped", "first"],
  ["the very first", { parent: null }, "promoted", "second"],
  ["never finished", { jobTurns: 1e6 }, "failed", "first"],
  ["that cannot be posted", { broken: "postJob" }, "failed", "first"],
  ["that cannot be judged", { broken: "acceptance" }, "failed", "first"],
  ["that cannot be promoted", { broken: "promote" }, "failed", "first"],
] as [string, Plan, string, string][])("a draft %s", async (_, plan, end, current) => {
  const chain = await runThrough(plan);
  expect(chain.end).toBe(end);
  expect(chain.channel).toEqual({ current, canary: null });
  expect(chain.done.at(-1)).toContain(`${end}: `);
});

test("by hand, however little traffic there is", async () => {
  expect((await runThrough({ traffic: 0 }, { ...ORDER, forced: true })).end).toBe("promoted");
});

test("waits for the service's word for a day, then asks by itself", async () => {
  const { waits } = await runThrough({ jobTurns: 3 });
  expect(waits.slice(0, 4)).toEqual([86_400_000, 600_000, 600_000, 600_000]);
});

test("an unsure look needs twice the requests at the next, and every look is in the record once", async () => {
  const arms = (look: number) => ({
    candidate: sums(look < 4 ? 60 : 120, look < 4 ? 5 : 7),
    baseline: sums(look < 4 ? 60 : 120, 5),
  });
  const { done, end } = await runThrough({ arms });
  expect(end).toBe("promoted");
  expect(done).toEqual([
    "traffic counted",
    "job posted",
    "canary started",
    expect.stringMatching(/^look 1: unsure: acceptance 0\.5500 of 60 requests against 0\.5500 of 60, p 1/),
    expect.stringMatching(/^look 2: better: acceptance 0\.7500 of 120 requests against 0\.5500 of 120, p /),
    expect.stringMatching(/^promoted: better: /),
  ]);
});

const PLANS: [string, Plan, string][] = [
  ["promoted", { jobTurns: 2 }, "second"],
  ["kept", { arms: () => ({ candidate: sums(60, 3), baseline: sums(60, 5) }) }, "first"],
];
test.each(PLANS)(
  "killed at every step's begin and end: %s all the same, with one job",
  async (end, plan, current) => {
    for (const before of [true, false]) {
      for (let killAt = 1; ; killAt++) {
        const there = worldOf(plan);
        const keeper = keeperOf(there.sleep);
        const first = await runChain(ORDER, SETTINGS, keeper.run(killAt, before), there.world).catch(
          (e) => e,
        );
        if (!(first instanceof Killed)) {
          expect(killAt).toBeGreaterThan(6);
          break;
        }
        // Users see the old release or the new one, never anything else.
        expect(["first", "second"]).toContain(there.channel.current);
        expect(await runChain(ORDER, SETTINGS, keeper.run(), there.world)).toBe(end);
        expect(there.channel).toEqual({ current, canary: null });
        expect(there.jobs.size).toBe(1);
        expect(new Set(there.done).size).toBe(there.done.length);
      }
    }
  },
);
