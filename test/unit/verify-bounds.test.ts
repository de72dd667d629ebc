/** What one socket may take of a verifier, and what is logged of it. Real sockets, an engine that only notes what it is told. */
import { pino } from "pino";
import { afterEach, beforeEach, expect, it } from "vitest";
import { WebSocket } from "ws";
import type { EdgeFrame, OpenFrame, VerifierFrame } from "../../gpu-service/protocol/frames.ts";
import { PROTOCOL_VERSION } from "../../gpu-service/protocol/frames.ts";
import { signToken } from "../../gpu-service/protocol/token.ts";
import { encodeEdgeFrame, parseVerifierFrame } from "../../gpu-service/protocol/wire.ts";
import type { Engine, EngineInput } from "../../gpu-service/verify/engines/engine.ts";
import { MAX_SEND_BUFFER_BYTES, MAX_STREAMS_PER_SOCKET } from "../../gpu-service/verify/link/connection.ts";
import { Link } from "../../gpu-service/verify/link/link.ts";
import { NonceWindow } from "../../gpu-service/verify/link/nonces.ts";
import { LinkServer } from "../../gpu-service/verify/link/server.ts";
import { Metrics } from "../../gpu-service/verify/metrics.ts";
import { GREEDY } from "../support/sequences.ts";

const KEY = { id: "k", secret: "s".repeat(32) };
const info = { target: "m", tokenizer: "a".repeat(64), numerics: "n", vocabSize: 10, context: 100 };
let clock = 0;
const options = { host: "127.0.0.1", port: 0, maxSockets: 2, leaseMs: 1e6, now: () => clock };
const nowSeconds = () => Date.now() / 1000;

let inputs: EngineInput[];
let log: object[];
let link: Link;
let server: LinkServer;
let port: number;

beforeEach(async () => {
  inputs = [];
  log = [];
  const engine: Engine = { info, send: (input) => void inputs.push(input), close: async () => {} };
  const gate = { info, keys: [KEY], nonces: new NonceWindow(1000), since: 0, nowSeconds };
  const metrics = new Metrics();
  link = new Link(engine, gate, metrics, pino({}, { write: (line: string) => log.push(JSON.parse(line)) }));
  server = new LinkServer(options, metrics, () => undefined);
  port = await server.listen();
  server.serve(link);
});
afterEach(() => server.close());

async function connect() {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/link`);
  const frames: VerifierFrame[] = [];
  socket.on("message", (data) => {
    const parsed = parseVerifierFrame(String(data));
    if (parsed.ok) frames.push(parsed.frame);
  });
  await new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject));
  return { socket, frames, send: (frame: EdgeFrame) => socket.send(encodeEdgeFrame(frame)) };
}

async function open(stream: number, more: Partial<OpenFrame> = {}): Promise<EdgeFrame> {
  const iat = Math.floor(nowSeconds());
  const claims = { aud: "m", kid: KEY.id, tenant: "t", nonce: crypto.randomUUID(), iat, exp: iat + 30 };
  return {
    ...{ type: "open", stream, protocol: PROTOCOL_VERSION, target: "m", tokenizer: info.tokenizer },
    ...{ prompt: [1], sampling: GREEDY, max_tokens: 9, stop_ids: [], drafts: true, tenant: "t" },
    ...{ token: await signToken(claims, KEY.secret), ...more },
  };
}
const hint = (path: number): EdgeFrame => ({
  ...{ type: "hint", stream: 1, path, at: 1, ids: [1], source: "model" },
});
const started = () => inputs.filter(({ type }) => type === "start");

it("so many streams, and not one more, until one has ended", async () => {
  const { send, frames } = await connect();
  for (let stream = 1; stream <= MAX_STREAMS_PER_SOCKET + 1; stream++) send(await open(stream));
  await expect.poll(() => frames).toHaveLength(1);
  const refusal = { stream: MAX_STREAMS_PER_SOCKET + 1, code: "overloaded", retryable: true };
  expect(frames[0]).toMatchObject(refusal);
  expect(started()).toHaveLength(MAX_STREAMS_PER_SOCKET);
  const { stream } = started()[0]!;
  link.deliver([{ type: "error", stream, code: "internal", message: "", retryable: true }]);
  send(await open(300));
  await expect.poll(started).toHaveLength(MAX_STREAMS_PER_SOCKET + 1);
});

it("so many frames between two turns of the engine: beyond, the socket is not read", async () => {
  const { send } = await connect();
  send(await open(1));
  const sent = 20_000;
  for (let path = 1; path <= sent; path++) send(hint(path));
  await expect.poll(() => inputs.length).toBeGreaterThan(400);
  await new Promise((resolve) => setTimeout(resolve, 100));
  // What the socket had read already when it was paused still comes through: a chunk of 64 KiB.
  expect(inputs.length).toBeLessThan(5_000);
  while (inputs.length < sent + 1) {
    const before = inputs.length;
    link.deliver([]);
    await expect.poll(() => inputs.length).toBeGreaterThan(before);
  }
});

it("so many bytes that it does not read: beyond, it is closed and its streams are cancelled", async () => {
  const { socket, send } = await connect();
  send(await open(1));
  await expect.poll(started).toHaveLength(1);
  socket.pause();
  const { stream } = started()[0]!;
  const top = Array.from({ length: 20 }, (_, id): [number, number] => [id, -1.2345678]);
  const entry = { logprob: -0.5, top };
  const ids = Array(60).fill(1);
  const frame: VerifierFrame = {
    ...{ type: "tokens", stream, at: 1, ids, accepted: 0 },
    logprobs: ids.map(() => entry),
  };
  const bytes = JSON.stringify(frame).length;
  let delivered = 0;
  while (link.connections.size > 0 && delivered < 20 * MAX_SEND_BUFFER_BYTES) {
    link.deliver(Array(16).fill(frame));
    delivered += 16 * bytes;
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await expect.poll(() => link.connections.size, { timeout: 3000 }).toBe(0);
  expect(inputs.at(-1)).toEqual({ type: "cancel", stream });
  socket.terminate();
});

it("one of so many sockets", async () => {
  const sockets = [await connect(), await connect()];
  await expect(connect()).rejects.toThrow("503");
  sockets[0]!.socket.close();
  await expect.poll(() => link.connections.size).toBe(1);
  await expect(connect()).resolves.toBeDefined();
});

const timings = { queued_ms: 0, prefill_ms: 0, decode_ms: 0 };
const opened = (stream: number): VerifierFrame => ({
  type: "opened",
  ...{ stream, limits: { hint_ids: 64, context: 100 }, prompt_tokens: 1, cached_tokens: 0, numerics: "n" },
});
const done = (stream: number): VerifierFrame => ({
  type: "done",
  ...{ stream, reason: "length", counts: { steps: 0, drafted: {}, accepted: {} }, timings },
});

it("a measure of its sequence's round trip: from `opened` to the first `seen`", async () => {
  const { send, frames } = await connect();
  send(await open(1));
  await expect.poll(started).toHaveLength(1);
  const { stream } = started()[0]!;
  /** `seen`, and a hint behind it that shows that it has arrived. */
  const seen = async () => {
    const before = inputs.length;
    send({ type: "seen", stream: 1 });
    send(hint(before));
    await expect.poll(() => inputs.length).toBe(before + 1);
  };
  await seen();
  link.deliver([opened(stream)]);
  clock += 30;
  await seen();
  clock += 40;
  await seen();
  link.deliver([done(stream)]);
  await expect.poll(() => frames.at(-1)?.type).toBe("done");
  expect(frames.at(-1)).toMatchObject({ timings: { ...timings, trip_ms: 30 } });
});

it("how long it is at least, where the text ended before `seen` came", async () => {
  const { send, frames } = await connect();
  send(await open(1));
  await expect.poll(started).toHaveLength(1);
  const { stream } = started()[0]!;
  link.deliver([opened(stream)]);
  clock += 12;
  link.deliver([done(stream)]);
  await expect.poll(() => frames.at(-1)?.type).toBe("done");
  expect(frames.at(-1)).toMatchObject({ timings: { ...timings, trip_over_ms: 12 } });
});

it("logs the trace that a request is part of, however it ends", async () => {
  const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  const { send, frames } = await connect();
  send(await open(1, { traceparent }));
  await expect.poll(started).toHaveLength(1);
  const { stream } = started()[0]!;
  const counts = { steps: 1, drafted: {}, accepted: {} };
  const timings = { queued_ms: 0, prefill_ms: 0, decode_ms: 0 };
  link.deliver([{ type: "done", stream, reason: "stop", counts, timings }]);
  send(await open(2, { traceparent, token: "none" }));
  await expect.poll(() => frames).toHaveLength(2);
  expect(log).toMatchObject([
    { msg: "done", traceparent },
    { msg: "open refused", traceparent },
  ]);
});
