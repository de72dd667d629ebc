import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { SequenceEvent, SequenceRequest } from "../../edge/link/link.ts";
import { ownLink } from "../../edge/link/own-link.ts";
import { FakeSocket } from "../support/fake-socket.ts";
import { GREEDY } from "../support/sequences.ts";

const request: SequenceRequest = {
  ...{ target: "m", tokenizer: "a".repeat(64), prompt: [1], sampling: GREEDY, max_tokens: 9 },
  ...{ stop_ids: [], drafts: true, tenant: "t" },
};
const link = ownLink("ws://verifier.test:1", { id: "k", secret: "s".repeat(32) });
let socket: FakeSocket;
let events: SequenceEvent[];
const open = () => link.open(request, (event) => events.push(event));
const answer = (fields: object) =>
  vi.spyOn(globalThis, "fetch").mockResolvedValue(fields as unknown as Response);

beforeEach(() => {
  vi.useFakeTimers();
  socket = new FakeSocket();
  events = [];
  answer({ status: 101, webSocket: socket });
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

it("hears a close that comes at once", async () => {
  socket.closeOnAccept = true;
  await open();
  expect(events).toEqual([{ type: "broken", message: "the verifier closed the link (1006)" }]);
});

it("gives up a verifier that has fallen silent, and none that speaks", async () => {
  await open();
  const tokens = (at: number) =>
    socket.say(JSON.stringify({ type: "tokens", stream: 1, at, ids: [1], accepted: 0 }));
  for (let at = 1; at <= 5; at++) {
    await vi.advanceTimersByTimeAsync(50_000);
    tokens(at);
  }
  expect(events.map(({ type }) => type)).toEqual(Array(5).fill("tokens"));
  await vi.advanceTimersByTimeAsync(120_000);
  expect(events.at(-1)).toEqual({ type: "broken", message: "the verifier has said nothing for 60 s" });
  expect(events).toHaveLength(6);
  expect(socket.closed).toBe(1);
  expect(vi.getTimerCount()).toBe(0);
});

it("leaves no timer behind when it is closed", async () => {
  (await open()).close();
  expect(vi.getTimerCount()).toBe(0);
});

it("says what answered instead of a verifier, and lets its body go", async () => {
  const cancel = vi.fn(async () => {});
  answer({ status: 503, webSocket: null, body: { cancel } });
  await expect(open()).rejects.toThrow("answered 503 instead of opening a WebSocket");
  expect(cancel).toHaveBeenCalledOnce();
});
