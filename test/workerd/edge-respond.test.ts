import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { Answer } from "../../edge/api/answer.ts";
import { choiceEvents } from "../../edge/api/choices.ts";
import { completionShape } from "../../edge/api/completion-shape.ts";
import { respondStream as respond, whenTaken } from "../../edge/api/respond.ts";
import type { CompletionEvent } from "../../edge/completion/job.ts";

const answer: Answer = {
  shape: completionShape(String, false),
  model: "m",
  choices: { perPrompt: 1, kept: 1 },
  includeUsage: false,
  details: undefined,
};
const unwatched = { taken: () => {}, ended: () => {} };
async function respondStream(
  events: AsyncGenerator<CompletionEvent, void>,
  answer: Answer,
  abort: () => void,
) {
  const choices = choiceEvents([() => events], unwatched);
  await whenTaken(choices);
  return respond(choices, answer, abort);
}
const opened = { type: "opened", opened: {} } as CompletionEvent;
const delta = (text: string): CompletionEvent => ({
  type: "delta",
  text,
  tokens: [],
  source: null,
  count: 1,
});
const finished: CompletionEvent = {
  type: "finished",
  reason: "stop",
  usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 },
  report: null,
};

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

async function* paced(events: CompletionEvent[], everyMs: number): AsyncGenerator<CompletionEvent, void> {
  for (const event of events) {
    if (event.type !== "opened") await new Promise((resolve) => setTimeout(resolve, everyMs));
    yield event;
  }
}

it("keeps a silent stream alive with comments, and loses nothing by it", async () => {
  const events = paced([opened, delta("a"), delta("b"), finished], 40_000);
  const response = await respondStream(events, answer, () => undefined);
  const text = response.text();
  await vi.advanceTimersByTimeAsync(130_000);
  const parts = (await text).split("\n\n").filter((part) => part !== "");
  const comments = parts.filter((part) => part === ": keep-alive").length;
  // Three silences of 40 s, a comment at least each 15 s and at most each 7.5 s.
  expect(comments).toBeGreaterThanOrEqual(6);
  expect(comments).toBeLessThanOrEqual(15);
  const data = parts.filter((part) => part.startsWith("data: ")).map((part) => part.slice(6));
  expect(data.slice(0, 2).map((chunk) => JSON.parse(chunk).choices[0].text)).toEqual(["a", "b"]);
  expect(data.at(-1)).toBe("[DONE]");
});

it("makes no more than a slow reader takes", async () => {
  let made = 0;
  async function* endless(): AsyncGenerator<CompletionEvent, void> {
    yield opened;
    for (;;) {
      made++;
      yield delta("x");
    }
  }
  const response = await respondStream(endless(), answer, () => undefined);
  const reader = response.body!.getReader();
  for (let n = 0; n < 5; n++) await reader.read();
  await vi.advanceTimersByTimeAsync(1_000);
  expect(made).toBeLessThan(10);
});

it("aborts when the reader leaves", async () => {
  const abort = vi.fn();
  const response = await respondStream(paced([opened, delta("a"), finished], 1), answer, abort);
  await response.body!.cancel();
  await vi.advanceTimersByTimeAsync(10);
  expect(abort).toHaveBeenCalled();
});

it("ends with an error event and no [DONE] where the completion breaks", async () => {
  async function* broken(): AsyncGenerator<CompletionEvent, void> {
    yield opened;
    yield delta("a");
    throw new Error("bug");
  }
  const complaints = vi.spyOn(console, "error").mockImplementation(() => undefined);
  const response = await respondStream(broken(), answer, () => undefined);
  const text = await response.text();
  expect(text).toContain('"type":"server_error"');
  expect(text).not.toContain("[DONE]");
  expect(text).not.toContain("bug");
  expect(complaints.mock.calls.flat().join()).toContain("bug");
  complaints.mockRestore();
});
