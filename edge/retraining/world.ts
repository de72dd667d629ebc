/** What a chain does to the world, by the worker's bindings and the training service. */
import { channelRecordSchema, openEnvelope } from "../../gpu-service/protocol/manifest.ts";
import type { Config, Env } from "../config.ts";
import { armsOf } from "./arms.ts";
import { ChainStore } from "./chain-store.ts";
import type { ChainWorld } from "./chain-types.ts";
import { countTraffic } from "./traffic-count.ts";
import { TrainingClient } from "./training-client.ts";

/** The oldest traffic that a target's first chain asks for. */
const OLDEST_TRAFFIC_MS = 30 * 86_400_000;

export function chainWorld(env: Env, config: Config): ChainWorld {
  const store = new ChainStore(env.DB, Date.now);
  const training = new TrainingClient({
    ...config.training,
    fetch: (input, init) => fetch(input, init),
  });
  return {
    now: Date.now,
    unlearned: async (target) =>
      (await store.learnedUntil(target)) ?? new Date(Date.now() - OLDEST_TRAFFIC_MS).toISOString(),
    countTraffic: (since, until) => countTraffic(env.RELEASES, since, until),
    currentRelease: (target) => currentRelease(env, config, target),
    postJob: (wish) => training.postJob(wish),
    job: (id) => training.job(id),
    startCanary: (target, release, share) =>
      training.changeChannel(target, { action: "canary", release, share }),
    promote: (target, release) => training.changeChannel(target, { action: "promote", release }),
    endCanary: (target, release) => training.changeChannel(target, { action: "end-canary", release }),
    acceptance: async (target, releases, since) =>
      armsOf(await env.STATISTICS.getByName(target).read(since), releases),
    record: (chain, done, facts) => store.record(chain, done, facts),
  };
}

async function currentRelease(env: Env, config: Config, target: string): Promise<string | null> {
  const envelope = await env.CHANNELS.getByName(target).current();
  if (!envelope) return null;
  const record = await openEnvelope("channel", envelope, config.trustedKeys, channelRecordSchema);
  if (!record.ok) throw new Error(`channel ${target}: ${record.message}`);
  return record.value.current.release;
}
