/** The server-sent events of a streamed answer: its chunks as JSON, and `[DONE]` after a good one. */
import type { Usage } from "../completion/job.ts";
import { type Answer, head } from "./answer.ts";
import type { ChoiceEvents } from "./choices.ts";
import type { AnswerEvent } from "./echo.ts";
import { ApiError, failureToError } from "./errors.ts";
import { totalUsage } from "./written.ts";

export async function* streamEvents(events: ChoiceEvents, answer: Answer): AsyncGenerator<string, void> {
  const { shape, includeUsage, choices } = answer;
  const base = head(answer, shape.chunkObject);
  // The same for every chunk: written once.
  const opened = JSON.stringify(base).slice(0, -1);
  const usages: Usage[] = [];
  try {
    // The event that says that the first choice was taken is behind us.
    const begun = new Set([0]);
    const first = shape.opening(0);
    if (first) yield chunk(opened, first, answer);
    for await (const { index, event } of events) {
      if (event.type === "failed") {
        yield sent(JSON.stringify(failureToError(event.failure).body));
        return;
      }
      const opening = begun.has(index) ? undefined : shape.opening(index);
      begun.add(index);
      if (opening) yield chunk(opened, opening, answer);
      if (event.type === "finished") usages[index] = event.usage;
      const text = chunkOf(index, event, opened, answer);
      if (text) yield text;
    }
    const usage = () => totalUsage(usages, choices);
    if (includeUsage) yield sent(JSON.stringify({ ...base, choices: [], usage: usage() }));
    yield sent("[DONE]");
  } catch (error) {
    console.error(JSON.stringify({ level: "error", message: "a stream failed", error: String(error) }));
    const failed = new ApiError({ status: 500, type: "server_error", message: "The stream failed." });
    yield sent(JSON.stringify(failed.body));
  } finally {
    await events.return();
  }
}

/** What a stream says of an event, if anything. */
function chunkOf(index: number, event: AnswerEvent, opened: string, answer: Answer): string | undefined {
  const { shape, details } = answer;
  switch (event.type) {
    case "prompt":
      return chunk(opened, shape.chunk(index, event), answer);
    case "delta": {
      const { text, tokens, source, count } = event;
      if (text === "" && (tokens.length === 0 || !(shape.showsTokens || details))) return undefined;
      const ids = tokens.map(({ id }) => id);
      const origin = { outrider: { accepted: source === null ? 0 : count, source, ids } };
      return chunk(opened, shape.chunk(index, event), answer, details && origin);
    }
    case "finished": {
      const report = details && { outrider: details(index, event) };
      return chunk(opened, shape.closing(index, event.reason), answer, report);
    }
    default:
      return undefined;
  }
}

/** `opened`: the JSON object of every chunk, as far as all of them are the same, without its end. */
function chunk(opened: string, choice: object, { includeUsage }: Answer, extra?: object): string {
  const usage = includeUsage ? ',"usage":null' : "";
  const rest = extra ? `,${JSON.stringify(extra).slice(1)}` : "}";
  return sent(`${opened},"choices":[${JSON.stringify(choice)}]${usage}${rest}`);
}

const sent = (data: string): string => `data: ${data}\n\n`;
