/** The scheduled handler: asks the training service for a new draft, once per tick of the schedule. */
import { z } from "zod";
import { jobSchema, type NewJob } from "../../gpu-service/protocol/jobs.ts";

const TIMEOUT_MS = 10_000;
const MINUTE_MS = 60_000;
const errorSchema = z.object({ error: z.object({ message: z.string() }) });

export type RetrainingOptions = {
  /** Base address of the training service; without it, or without a recipe, nothing is scheduled. */
  url: string | undefined;
  token: string | undefined;
  recipe: string | undefined;
  fetch: typeof fetch;
  log(entry: { level: "info" | "error"; message: string; [field: string]: unknown }): void;
};
/** `scheduledTime`: Unix milliseconds. */
export type CronTick = { cron: string; scheduledTime: number };

/** Posts the job. A failure is logged, never thrown: users must not notice, and the next tick tries again. */
export async function postRetrainingJob(tick: CronTick, options: RetrainingOptions): Promise<void> {
  const { url, recipe, log } = options;
  if (url === undefined || recipe === undefined) {
    log({ level: "info", message: "retraining: no TRAINING_URL or RETRAIN_RECIPE, nothing to do" });
    return;
  }
  const key = idempotencyKey(tick);
  try {
    const job = await post(url, { recipe, publish: true, idempotency_key: key }, options);
    log({
      level: "info",
      message: "retraining: job posted",
      job: job.id,
      release: job.release,
      state: job.state,
      key,
    });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    log({ level: "error", message: `retraining: no job could be posted to ${url}: ${reason}`, recipe, key });
  }
}

/** The same for every delivery of one tick: schedules are no finer than a minute. */
export function idempotencyKey({ cron, scheduledTime }: CronTick): string {
  const slot = new Date(Math.floor(scheduledTime / MINUTE_MS) * MINUTE_MS).toISOString().slice(0, 16);
  return `cron ${cron} ${slot}`;
}

async function post(url: string, job: NewJob, { token, fetch }: RetrainingOptions) {
  const response = await fetch(new URL("/v1/jobs", url).href, {
    method: "POST",
    headers: { "content-type": "application/json", ...(token && { authorization: `Bearer ${token}` }) },
    body: JSON.stringify(job),
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  const body: unknown = await response.json().catch(() => null);
  if (response.ok) return jobSchema.parse(body);
  throw new Error(
    `${response.status}: ${errorSchema.safeParse(body).data?.error.message ?? response.statusText}`,
  );
}
