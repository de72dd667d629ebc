/** The worker's composition root: the only place that reads bindings and wires the parts together. */
import type { Context } from "hono";
import type { TargetManifest } from "../gpu-service/protocol/manifest.ts";
import { ApiKeys } from "./accounts/api-keys.ts";
import { createApp } from "./api/app.ts";
import type { AppEnv, Services } from "./api/context.ts";
import { type Config, type Env, readConfig } from "./config.ts";
import { startDrafting } from "./drafting/drafting.ts";
import kernel from "./drafting/kernel/build/draft.wasm";
import { Memory } from "./drafting/memory/memory.ts";
import { Links } from "./link/links.ts";
import { ReleaseLoader, type Served } from "./releases/loader.ts";
import { readStoredBytes } from "./releases/stored.ts";
import { ChainStore } from "./retraining/chain-store.ts";
import { newestJobs } from "./retraining/jobs.ts";
import type { RetrainingParts } from "./retraining/routes.ts";
import { onTick } from "./retraining/schedule.ts";
import { TrainingClient } from "./retraining/training-client.ts";
import { type Sending, StatisticsBatcher } from "./statistics/batcher.ts";
import { enter } from "./statistics/books.ts";
import { loadTargetText, type TargetText } from "./text/target-text.ts";
import { deleteOldTraffic } from "./traffic/deletion.ts";
import { storeTraffic } from "./traffic/store.ts";
import { type SubjectCache, Subjects } from "./traffic/subjects.ts";

export { QuotaObject } from "./accounts/quota-object.ts";
export { LinkObject } from "./link/link-object.ts";
export { Channel } from "./releases/channel.ts";
export { RetrainingWorkflow } from "./retraining/workflow.ts";
export { StatisticsObject } from "./statistics/statistics-object.ts";

/** What outlives a request in this isolate. */
type Isolate = {
  config: Config;
  links: Links;
  releases: ReleaseLoader;
  keyCache: ConstructorParameters<typeof ApiKeys>[1];
  text: TextLoad | undefined;
  /** Absent where nothing is to be kept. */
  memory: Memory | undefined;
  statistics: StatisticsBatcher;
  subjects: SubjectCache;
};
type TextLoad = { text: Promise<TargetText>; isLoaded: boolean; giveUpAt: number };
/** A load that takes longer was part of a request that the runtime has ended: it will never settle. */
const TEXT_LOAD_TIMEOUT_MS = 30_000;
let isolate: Isolate | undefined;

function isolateFor(env: Env): Isolate {
  if (isolate) return isolate;
  const config = readConfig(env);
  isolate = {
    config,
    links: new Links(config, Math.random),
    releases: new ReleaseLoader(kernel, config.draftMemoryBytes, config.serves),
    keyCache: new Map(),
    text: undefined,
    memory: config.memory
      ? new Memory({ secret: config.linkKey.secret, cache: () => caches.default })
      : undefined,
    statistics: new StatisticsBatcher(),
    subjects: new Map(),
  };
  return isolate;
}

function servicesOf(c: Context<AppEnv>): Services {
  const env = c.env as Env;
  const state = isolateFor(env);
  const { config, releases } = state;
  const keepAlive = (work: Promise<unknown>) => c.executionCtx.waitUntil(work);
  let served: Served | undefined;
  /** The same for all completions of the request. */
  const begun = (): Served => {
    served ??= releases.serve(c.get("requestId"));
    return served;
  };
  const text = () => {
    const loading = textOf(state, env, keepAlive);
    const target = async (): Promise<TargetManifest> => (await loading).manifest;
    const channel = env.CHANNELS.getByName(config.target);
    keepAlive(releases.look({ bucket: env.RELEASES, channel, trusted: config.trustedKeys, target }));
    return Promise.all([loading, releases.fresh()]).then(([loaded]) => loaded);
  };
  return {
    config,
    keys: new ApiKeys(env.DB, state.keyCache),
    limitRate: async (key) => !env.REQUESTS || (await env.REQUESTS.limit({ key })).success,
    ledger: (key) => env.QUOTAS.getByName(key),
    keepAlive,
    text,
    secondWorker: async () => {
      if (!env.CANARY) return undefined;
      await text().catch(() => undefined);
      return releases.isForSecondWorker(c.get("requestId")) ? env.CANARY : undefined;
    },
    draft: () => releases.state,
    links: (prompt) => state.links.for(prompt, { objects: env.LINKS, place: placeOf(c.req.raw) }),
    startDrafting: (request, memory) => startDrafting(request, begun().release, begun().state, memory),
    account: (completed, arrival, mayCapture) => {
      const subject = () => new Subjects(env.DB, state.subjects).of(c.var.key.id);
      const entry = {
        completed: { ...completed, target: config.target },
        arm: begun().arm,
        subject: mayCapture ? subject : undefined,
      };
      const send: Sending["send"] = (batch) => env.STATISTICS.getByName(config.target).add(batch);
      const { statistics } = state;
      keepAlive(enter(entry, arrival, { statistics, sending: { send, keepAlive }, traffic: env.TRAFFIC }));
    },
    statistics: (target) => env.STATISTICS.getByName(target),
    traffic: () => ({ bucket: env.RELEASES, subjects: new Subjects(env.DB, state.subjects) }),
    recall: ({ tenant, text, prompt }) => {
      const { id: target, tokenizer_sha256: tokenizer } = text.manifest;
      return state.memory?.recall({ tenant, target, tokenizer, prompt }, keepAlive);
    },
    channel: (target) => env.CHANNELS.getByName(target),
    jobs: () => newestJobs({ ...config.training, fetch: (input, init) => fetch(input, init) }),
    retraining: () => retrainingOf(env, config),
  };
}

function retrainingOf(env: Env, config: Config): RetrainingParts {
  const training = new TrainingClient({ ...config.training, fetch: (input, init) => fetch(input, init) });
  return {
    target: config.target,
    recipe: config.training.recipe,
    token: config.training.token,
    store: new ChainStore(env.DB, Date.now),
    instances: env.RETRAINING_CHAINS,
    job: (id) => training.job(id),
    endCanary: (target, release) => training.changeChannel(target, { action: "end-canary", release }),
    newId: () => `by-hand-${crypto.randomUUID()}`,
    now: Date.now,
    log: (entry) => console.log(JSON.stringify(entry)),
  };
}

/** The data centre that serves the request, as far as is known. */
const placeOf = ({ cf }: Request): string => (typeof cf?.colo === "string" ? cf.colo : "here");

/** One load shared by all requests of the isolate; a failed one is tried again by the next request. */
function textOf(state: Isolate, env: Env, keepAlive: (work: Promise<unknown>) => void): Promise<TargetText> {
  const known = state.text;
  if (known && (known.isLoaded || Date.now() < known.giveUpAt)) return known.text;
  const read = async (key: string, sha256?: string) => {
    if (sha256 !== undefined) return readStoredBytes({ bucket: env.RELEASES, key, sha256 });
    const object = await env.RELEASES.get(key);
    return object && new Uint8Array(await object.arrayBuffer());
  };
  const text = loadTargetText(state.config.target, read, state.config.trustedKeys);
  const load = { text, isLoaded: false, giveUpAt: Date.now() + TEXT_LOAD_TIMEOUT_MS };
  state.text = load;
  const loaded = () => {
    load.isLoaded = true;
  };
  const failed = () => {
    if (state.text === load) state.text = undefined;
  };
  keepAlive(text.then(loaded, failed));
  return text;
}

const app = createApp(servicesOf);

export default {
  fetch: app.fetch,
  async scheduled(tick: ScheduledController, env: Env): Promise<void> {
    const { config } = isolateFor(env);
    const { retentionDays } = config.traffic;
    await Promise.all([
      onTick(tick, retrainingOf(env, config)),
      deleteOldTraffic({ bucket: env.RELEASES, db: env.DB }, tick.scheduledTime, retentionDays),
    ]);
  },
  async queue({ messages }: MessageBatch, env: Env): Promise<void> {
    const { dayBytes } = isolateFor(env).config.traffic;
    await storeTraffic(messages, { bucket: env.RELEASES, db: env.DB, dayBytes });
  },
};
