/**
 * What the clock does: a tick of the schedule begins a chain, and every tick wakes or ends those that stand still.
 *
 * A failure is logged, never thrown: users must not notice, and the next tick tries again.
 */
import type { Job } from "../../gpu-service/protocol/jobs.ts";
import { isFinished } from "../../gpu-service/protocol/jobs.ts";
import type { ChainStore, StoredChain } from "./chain-store.ts";
import type { ChainOrder } from "./chain-types.ts";

/** Ticks of this schedule only look after the chains that go on. */
export const RECONCILE_CRON = "*/15 * * * *";
/** The event that ends a chain's wait; what there is to know, the chain asks for itself. */
export const WAKE = "wake";
const MINUTE_MS = 60_000;

export type Instance = {
  status(): Promise<{ status: string; error?: unknown }>;
  sendEvent(event: { type: string; payload: unknown }): Promise<void>;
};
/** The binding of the workflow; `get` rejects where there is no such instance. */
export type Instances = {
  create(options: { id: string; params: ChainOrder }): Promise<unknown>;
  get(id: string): Promise<Instance>;
};
export type ScheduleParts = {
  target: string;
  /** What a chain's job trains by; none begins without it, but those that go on are looked after. */
  recipe: string | undefined;
  store: ChainStore;
  instances: Instances;
  job(id: string): Promise<Job>;
  endCanary(target: string, release: string): Promise<void>;
  now(): number;
  log(entry: { level: "info" | "error"; message: string; [field: string]: unknown }): void;
};
/** `scheduledTime`: Unix milliseconds. */
export type CronTick = { cron: string; scheduledTime: number };

export async function onTick(tick: CronTick, parts: ScheduleParts): Promise<void> {
  const { recipe, log } = parts;
  try {
    await reconcile(parts);
    if (tick.cron === RECONCILE_CRON) return;
    if (recipe === undefined) log({ level: "info", message: "retraining: no RETRAIN_RECIPE, nothing to do" });
    else await begin({ id: chainOf(tick), recipe, forced: false }, parts);
  } catch (error) {
    log({ level: "error", message: `retraining: ${reasonOf(error)}`, cron: tick.cron });
  }
}

/** The same for every delivery of one tick: schedules are no finer than a minute. An instance's id allows few signs. */
export function chainOf({ cron, scheduledTime }: CronTick): string {
  const slot = new Date(Math.floor(scheduledTime / MINUTE_MS) * MINUTE_MS).toISOString().slice(0, 16);
  return `${slot}-cron-${cron}`
    .replaceAll("*", "x")
    .replaceAll(/[^\w-]+/g, "-")
    .slice(0, 100);
}

/** Begins a chain; null where it was begun before or another goes on. */
export async function begin(
  order: Omit<ChainOrder, "target">,
  parts: Pick<ScheduleParts, "target" | "store" | "instances" | "log">,
): Promise<ChainOrder | null> {
  const { target, store, instances, log } = parts;
  const chain = { ...order, target };
  if (!(await store.begin(chain))) {
    log({ level: "info", message: `retraining: ${order.id} was begun before, or another chain goes on` });
    return null;
  }
  // Killed here, the chain has no instance: the next tick makes it.
  await instances.create({ id: order.id, params: chain });
  log({ level: "info", message: `retraining: ${order.id} begins` });
  return chain;
}

/** Sees after every chain that goes on; one that cannot be helped now does not hold up the others. */
export async function reconcile(parts: ScheduleParts): Promise<void> {
  for (const chain of await parts.store.open()) {
    try {
      const done = await help(chain, parts);
      if (done) parts.log({ level: "info", message: `retraining: ${chain.id} ${done}` });
    } catch (error) {
      parts.log({ level: "error", message: `retraining: ${chain.id}: ${reasonOf(error)}` });
    }
  }
}

async function help(chain: StoredChain, parts: ScheduleParts): Promise<string> {
  const instance = await parts.instances.get(chain.id).catch(() => null);
  if (instance === null) {
    const { id, target, recipe, forced } = chain;
    await parts.instances.create({ id, params: { id, target, recipe, forced } });
    return "had no instance: made";
  }
  const { status, error } = await instance.status();
  if (["errored", "terminated", "complete"].includes(status)) {
    if (chain.release !== null && chain.state === "canary")
      await parts.endCanary(chain.target, chain.release);
    const note = `its workflow is ${status}${error ? `: ${messageOf(error)}` : ""}`;
    await parts.store.record(chain.id, `failed: ${note}`, { state: "failed", note });
    return `failed: ${note}`;
  }
  const why = await whyAwake(chain, parts);
  if (why !== null) await instance.sendEvent({ type: WAKE, payload: {} });
  return why === null ? "" : `woken: ${why}`;
}

/** Why a chain should be up by now; null where it may sleep on. */
async function whyAwake(chain: StoredChain, { job, now }: ScheduleParts): Promise<string | null> {
  if (chain.wake_at === null || Date.parse(chain.wake_at) <= now()) return "its alarm is past";
  if (chain.state !== "training" || chain.job === null) return null;
  const { state } = await job(chain.job);
  return isFinished(state) ? `job ${chain.job} ${state}` : null;
}

const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
const messageOf = (error: unknown): string =>
  typeof error === "object" && error !== null && "message" in error ? String(error.message) : String(error);
