/** Has the worker load its draft release before the first request, which would otherwise go without. */
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";

const POLL_MS = 100;
/** The worker looks for a release every 5 s: time for two looks. */
const TIMEOUT_MS = 8_000;
const modelSchema = z.object({
  draft: z.object({ release: z.string().nullable(), note: z.string().nullable() }),
});

/** Waits until a release is loaded, or for 8 s; returns a line that says how it went. Without drafts all works too. */
export async function loadDraft(
  address: string,
  key: string,
  target: string,
  timeoutMs = TIMEOUT_MS,
): Promise<string> {
  const deadline = Date.now() + timeoutMs;
  for (let why = "no answer"; ; await sleep(POLL_MS)) {
    try {
      const response = await fetch(`${address}/v1/models/${target}`, {
        headers: { authorization: `Bearer ${key}` },
        signal: AbortSignal.timeout(2_000),
      });
      const { draft } = modelSchema.parse(await response.json());
      if (draft.release !== null) return `draft ${draft.release} loaded`;
      why = draft.note ?? why;
    } catch (error) {
      why = error instanceof Error ? error.message : String(error);
    }
    if (Date.now() > deadline) return `no draft is loaded yet (${why}): until then lookup alone drafts`;
  }
}
