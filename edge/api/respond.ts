/** Turns a completion's events into the answer: one JSON object, or a stream of server-sent events. */
import type { CompletionEvent, Finished } from "../completion/job.ts";
import { pulledBody } from "./body.ts";
import type { Details } from "./details.ts";
import { ApiError, failureToError } from "./errors.ts";
import type { Shape } from "./shape.ts";

export type Events = AsyncGenerator<CompletionEvent, void>;
export type Answer = {
  shape: Shape;
  model: string;
  includeUsage: boolean;
  /** Present when the client asked for details. */
  details: ((finished: Finished) => Details) | undefined;
};

/**
 * The whole answer at once. The status is decided when the verifier has taken the request; what fails before is
 * thrown as an ApiError, what fails later breaks the connection off, which clients take as a reason to try again.
 * Spaces, which JSON allows before a value, go out meanwhile: workerd notices that a client is gone only by writing.
 */
export async function respondWhole(events: Events, answer: Answer, abort: () => void): Promise<Response> {
  await taken(events);
  return new Response(pulledBody(wholeAnswer(events, answer), " ", abort), {
    headers: { "content-type": "application/json", ...UNBUFFERED },
  });
}

/** Streams the answer; what fails after the verifier has taken the request is an `error` event and no `[DONE]`. */
export async function respondStream(events: Events, answer: Answer, abort: () => void): Promise<Response> {
  await taken(events);
  return new Response(pulledBody(serverSentEvents(events, answer), ": keep-alive\n\n", abort), {
    headers: {
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-cache",
      ...UNBUFFERED,
    },
  });
}

/** Keeps local tooling from holding an answer back to compress it. */
const UNBUFFERED = { "content-encoding": "identity" };

async function taken(events: Events): Promise<void> {
  const { value } = await events.next();
  if (value?.type === "failed") throw failureToError(value.failure);
}

async function* wholeAnswer(events: Events, answer: Answer): AsyncGenerator<string, void> {
  const { shape, details } = answer;
  let text = "";
  const tokens = [];
  for await (const event of events) {
    if (event.type === "failed") throw failureToError(event.failure);
    if (event.type === "delta") {
      text += event.text;
      tokens.push(...event.tokens);
      yield " ";
    }
    if (event.type === "finished") {
      yield JSON.stringify({
        ...head(answer, shape.wholeObject),
        choices: [shape.whole({ text, tokens }, event.reason)],
        usage: event.usage,
        ...(details && { outrider: details(event) }),
      });
    }
  }
}

async function* serverSentEvents(events: Events, answer: Answer): AsyncGenerator<string, void> {
  for await (const data of streamChunks(events, answer)) yield `data: ${data}\n\n`;
}

async function* streamChunks(events: Events, answer: Answer): AsyncGenerator<string, void> {
  const { shape, details, includeUsage } = answer;
  const base = head(answer, shape.chunkObject);
  const chunk = (choices: object[], extra: object = {}) =>
    JSON.stringify({ ...base, choices, ...(includeUsage && { usage: null }), ...extra });
  try {
    const opening = shape.opening();
    if (opening) yield chunk([opening]);
    for await (const event of events) {
      if (event.type === "failed") {
        yield JSON.stringify(failureToError(event.failure).body);
        return;
      }
      if (event.type === "delta" && (event.text !== "" || event.tokens.length > 0)) {
        const { source, count, tokens } = event;
        const ids = tokens.map(({ id }) => id);
        const origin = { outrider: { accepted: source === null ? 0 : count, source, ids } };
        yield chunk([shape.chunk(event)], details && origin);
      }
      if (event.type === "finished") {
        yield chunk([shape.closing(event.reason)], details && { outrider: details(event) });
        if (includeUsage) yield JSON.stringify({ ...base, choices: [], usage: event.usage });
        yield "[DONE]";
        return;
      }
    }
  } catch (error) {
    console.error(JSON.stringify({ level: "error", message: "a stream failed", error: String(error) }));
    const failed = new ApiError({ status: 500, type: "server_error", message: "The stream failed." });
    yield JSON.stringify(failed.body);
  } finally {
    await events.return();
  }
}

const head = ({ shape, model }: Answer, object: string) => ({
  id: shape.idPrefix + crypto.randomUUID().replaceAll("-", ""),
  object,
  created: Math.floor(Date.now() / 1000),
  model,
});
