/** The choices of a request: some run at a time, their events come as one stream. */
import { Queue } from "../completion/queue.ts";
import type { AnswerEvent } from "./echo.ts";

export type ChoiceEvent = { index: number; event: AnswerEvent };
export type ChoiceEvents = AsyncGenerator<ChoiceEvent, void>;
type Run = () => AsyncGenerator<AnswerEvent, void>;
type Signal = { index: number; event: AnswerEvent; taken: () => void } | { ended: true; error?: unknown };

/** So many of a request's sequences run at once: the verifier is others' too. */
const AT_ONCE = 4;

/** Hears when the verifier has taken a choice, and once, however it comes, when there are no more events. */
export type Watch = { taken(index: number): void; ended(): void };

/** `runs`: one per choice, called when its turn comes. What is not taken yet holds its choice back. */
export async function* choiceEvents(runs: readonly Run[], watch: Watch): ChoiceEvents {
  const heard = (index: number, event: AnswerEvent): ChoiceEvent => {
    if (event.type === "opened") watch.taken(index);
    return { index, event };
  };
  try {
    // Nearly every request has one choice, which need not go through a queue.
    if (runs.length === 1) for await (const event of runs[0]!()) yield heard(0, event);
    else for await (const { index, event } of merged(runs)) yield heard(index, event);
  } finally {
    watch.ended();
  }
}

async function* merged(runs: readonly Run[]): ChoiceEvents {
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
}
