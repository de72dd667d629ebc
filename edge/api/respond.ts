/** Turns a completion's events into the answer: one JSON object, or a stream of server-sent events. */
import type { CompletionEvent, Finished } from "../completion/completion.ts";
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

/** The whole answer at once. Throws an ApiError where the completion fails. */
export async function respondWhole(events: Events, answer: Answer): Promise<Response> {
  const { shape } = answer;
  const text: string[] = [];
  const tokens = [];
  for await (const event of events) {
    if (event.type === "failed") throw failureToError(event.failure);
    if (event.type === "delta") {
      text.push(event.text);
      tokens.push(...event.tokens);
    }
    if (event.type === "finished") {
      return Response.json({
        ...head(answer, shape.wholeObject),
        choices: [shape.whole({ text: text.join(""), tokens }, event.reason)],
        usage: event.usage,
        ...(answer.details && { outrider: answer.details(event) }),
      });
    }
  }
  throw new Error("the completion ended without saying why");
}

/**
 * Streams the answer. The status is decided before: whatever fails until the verifier has taken the request is
 * thrown as an ApiError; what fails later is an `error` event and no `[DONE]`.
 */
export async function respondStream(events: Events, answer: Answer, abort: () => void): Promise<Response> {
  const first = await events.next();
  if (first.value?.type === "failed") throw failureToError(first.value.failure);
  return new Response(eventStream(streamChunks(events, answer), abort), {
    headers: {
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-cache",
      // Keeps local tooling from holding the stream back to compress it.
      "content-encoding": "identity",
    },
  });
}

/** Proxies cut a connection on which nothing moves. */
const KEEP_ALIVE_MS = 15_000;
const KEEP_ALIVE = ": keep-alive\n\n";

/** Pulled by the reader: a slow one holds the completion back instead of filling a buffer. */
function eventStream(chunks: AsyncGenerator<string, void>, abort: () => void): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  let pending: Promise<IteratorResult<string, void>> | undefined;
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      pending ??= chunks.next();
      const next = await withinTime(pending, KEEP_ALIVE_MS);
      if (next === "late") return controller.enqueue(encoder.encode(KEEP_ALIVE));
      pending = undefined;
      if (next.done) controller.close();
      else controller.enqueue(encoder.encode(`data: ${next.value}\n\n`));
    },
    cancel() {
      abort();
    },
  });
}

async function withinTime<T>(work: Promise<T>, ms: number): Promise<T | "late"> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<"late">((resolve) => {
    timer = setTimeout(() => resolve("late"), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
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
