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
  const chunks = streamChunks(events, answer);
  const encoder = new TextEncoder();
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      const { value, done } = await chunks.next();
      if (done) controller.close();
      else controller.enqueue(encoder.encode(`data: ${value}\n\n`));
    },
    async cancel() {
      abort();
      await chunks.return();
    },
  });
  return new Response(body, {
    headers: {
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-cache",
      // Keeps local tooling from holding the stream back to compress it.
      "content-encoding": "identity",
    },
  });
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
