/** The choices of a request: some run at a time, their events come as one stream. */
import { Queue } from "../completion/queue.ts";
import type { AnswerEvent } from "./echo.ts";

export type ChoiceEvent = { index: number; event: AnswerEvent };
export type ChoiceEvents = AsyncGenerator<ChoiceEvent, void>;
type Run = () => AsyncGenerator<AnswerEvent, void>;
type Signal = { index: number; event: AnswerEvent; taken: () => void } | { ended: true; error?: unknown };

/** So many of a request's sequences run at once: the verifier is others' too. */
const AT_ONCE = 4;

/**
 * `runs`: one per choice, called when its turn comes. What is not taken yet holds its choice back. `stop` ends those
 * that run when the events end, however they do.
 */
export function choiceEvents(runs: readonly Run[], stop: () => void): ChoiceEvents {
  return runs.length === 1 ? single(runs[0]!) : merged(runs, stop);
}

async function* single(run: Run): ChoiceEvents {
  for await (const event of run()) yield { index: 0, event };
}

async function* merged(runs: readonly Run[], stop: () => void): ChoiceEvents {
  const queue = new Queue<Signal>();
  let begun = 0;
  const work = async () => {
    while (begun < runs.length) {
      const index = begun++;
      for await (const event of runs[index]!()) {
        await new Promise<void>((taken) => queue.push({ index, event, taken }));
      }
    }
  };
  let working = Math.min(AT_ONCE, runs.length);
  for (let n = working; n > 0; n--) {
    work().then(
      () => queue.push({ ended: true }),
      (error) => queue.push({ ended: true, error }),
    );
  }
  try {
    while (working > 0) {
      const signal = await queue.next();
      if ("ended" in signal) {
        if (signal.error !== undefined) throw signal.error;
        working--;
        continue;
      }
      yield { index: signal.index, event: signal.event };
      signal.taken();
    }
  } finally {
    stop();
  }
}
