/** The training service's word that a job has changed: signed, delivered at least once, maybe late. */
import { isSignedJobEvent, jobEventSchema } from "../../gpu-service/protocol/job-events.ts";
import type { ChainStore } from "./chain-store.ts";
import { type Instances, WAKE } from "./schedule.ts";

export type EventParts = { token: string | undefined; store: ChainStore; instances: Instances };
export type EventAnswer = { status: 204 } | { status: 400 | 401; message: string };

/**
 * Wakes the chain that waits for the job. The event itself is not believed: the chain asks the service. So an event
 * that comes twice, late or for a job of nobody's does nothing. Rejects where the chain could not be woken now.
 */
export async function takeEvent(body: string, signature: string, parts: EventParts): Promise<EventAnswer> {
  const { token, store, instances } = parts;
  if (token === undefined || !(await isSignedJobEvent(body, token, signature)))
    return { status: 401, message: "x-outrider-signature: not the body's under the training token" };
  const parsed = jobEventSchema.safeParse(tryJson(body));
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    return { status: 400, message: `event: ${issue?.path.join(".")}: ${issue?.message}` };
  }
  const { id, job, state } = parsed.data;
  const chain = await store.ofJob(job);
  if (chain) {
    await store.record(chain.id, `event ${id}: job ${job} ${state}`, {});
    await (await instances.get(chain.id)).sendEvent({ type: WAKE, payload: {} });
  }
  return { status: 204 };
}

function tryJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
