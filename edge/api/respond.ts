/** Turns a request's events into the answer: one JSON object, or a stream of server-sent events. */
import { type Answer, head } from "./answer.ts";
import { writtenBody } from "./body.ts";
import type { ChoiceEvents } from "./choices.ts";
import { streamEvents } from "./chunks.ts";
import { failureToError } from "./errors.ts";
import { chosen, totalUsage, Written } from "./written.ts";

/**
 * Waits until the verifier has taken the request (or the first of its choices), which decides the status. What fails
 * before is thrown as an ApiError.
 */
export async function whenTaken(events: ChoiceEvents): Promise<void> {
  const { value } = await events.next();
  if (value?.event.type !== "failed") return;
  await events.return();
  throw failureToError(value.event.failure);
}

/**
 * The whole answer at once. What fails breaks the connection off, which clients take as a reason to try again.
 * Spaces, which JSON allows before a value, go out meanwhile: workerd notices that a client is gone only by writing.
 */
export function respondWhole(events: ChoiceEvents, answer: Answer, abort: () => void): Response {
  return new Response(writtenBody(wholeAnswer(events, answer), " ", abort), {
    headers: { "content-type": "application/json", ...UNBUFFERED },
  });
}

/** Streams the answer; what fails is an `error` event and no `[DONE]`. */
export function respondStream(events: ChoiceEvents, answer: Answer, abort: () => void): Response {
  return new Response(writtenBody(streamEvents(events, answer), ": keep-alive\n\n", abort), {
    headers: {
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-cache",
      ...UNBUFFERED,
    },
  });
}

/** Keeps local tooling from holding an answer back to compress it. */
const UNBUFFERED = { "content-encoding": "identity" };

async function* wholeAnswer(events: ChoiceEvents, answer: Answer): AsyncGenerator<string, void> {
  const all: Written[] = [];
  for await (const { index, event } of events) {
    if (event.type === "failed") throw failureToError(event.failure);
    all[index] ??= new Written();
    all[index].add(event);
    if (event.type === "delta") yield " ";
  }
  yield JSON.stringify(wholeObject(all, answer));
}

function wholeObject(all: readonly Written[], answer: Answer): object {
  const { shape, choices, details } = answer;
  const shown = chosen(all, choices);
  const reports = details && shown.map((choice) => details(all.indexOf(choice), choice.finished!));
  return {
    ...head(answer, shape.wholeObject),
    choices: shown.map((choice, index) => shape.whole(index, choice, choice.finished!.reason)),
    usage: totalUsage(
      all.map(({ finished }) => finished!.usage),
      choices,
    ),
    ...(reports && { outrider: reports.length === 1 ? reports[0] : reports }),
  };
}
