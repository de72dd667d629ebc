/** A job's progress as server-sent events: one `job` event for every change, until it is finished. */
import type { Context } from "hono";
import { streamSSE } from "hono/streaming";
import { isFinished } from "../../protocol/jobs.ts";
import type { JobStore } from "../jobs/store.ts";

const POLL_MS = 300;
const KEEP_ALIVE_POLLS = 50;

/** Read from the store, not from the runner: another service on the same store may run the job. */
export function jobEvents(context: Context, store: JobStore, id: string): Response {
  return streamSSE(context, async (stream) => {
    let last = "";
    for (let quiet = 0; !stream.aborted; quiet++) {
      const job = store.get(id);
      if (!job) return;
      const data = JSON.stringify(job);
      if (data !== last) {
        await stream.writeSSE({ event: "job", data });
        quiet = 0;
      } else if (quiet % KEEP_ALIVE_POLLS === KEEP_ALIVE_POLLS - 1) {
        await stream.write(": still here\n\n");
      }
      if (isFinished(job.state)) return;
      last = data;
      await stream.sleep(POLL_MS);
    }
  });
}
