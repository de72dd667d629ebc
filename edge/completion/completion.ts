/**
 * The life of a completion: open a sequence, draft ahead of it, commit what it confirms, end it.
 *
 * `opened` comes before anything else, so that a refusal can still be an HTTP status. A lost replica costs a
 * re-prefill on the next one: text depends on seed and position only, so it goes on as if nothing had happened.
 */
import type { Drafter } from "../drafting/drafter.ts";
import type { VerifierLink } from "../link/link.ts";
import type { CompletionEvent, CompletionJob } from "./job.ts";
import { Run } from "./run.ts";

/** `links`: replicas in the order in which they are tried; one may come twice, over another way. `drafter` is absent when drafts are off. */
export async function* complete(
  job: CompletionJob,
  links: readonly VerifierLink[],
  drafter: Drafter | undefined,
): AsyncGenerator<CompletionEvent, void> {
  const run = new Run(job, drafter);
  try {
    drafter?.prepare();
    const inTurn = [...links];
    for (const link of inTurn) {
      if (link.name === run.refusedBy) continue;
      const lost = yield* run.on(link);
      if (!lost) return;
      // Often only the connection was lost: such a replica is asked once more, after the others.
      if (run.brokeOff && inTurn.length < 2 * links.length) inTurn.push(link);
    }
    yield { type: "failed", failure: run.lastLoss };
  } finally {
    run.close();
  }
}
