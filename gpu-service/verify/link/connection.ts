/**
 * One socket of the link: its streams, its bounds, its lease.
 *
 * Frames are taken one after the other, so that a hint never overtakes the `open` whose token is being checked.
 * A socket that sends faster than the engine takes in is paused; one that reads slower than it is sent to is
 * closed, because a sequence that nobody reads would hold a slot.
 */
import type { Socket } from "node:net";
import type { WebSocket } from "ws";
import { type EdgeFrame, type ErrorFrame, MAX_UINT32, type VerifierFrame } from "../../protocol/frames.ts";
import { encodeVerifierFrame, parseEdgeFrame } from "../../protocol/wire.ts";
import type { Refusal } from "./handshake.ts";

/** Bytes that may wait in a socket's send buffer. */
export const MAX_SEND_BUFFER_BYTES = 4 << 20;
export const MAX_STREAMS_PER_SOCKET = 256;
const MAX_BAD_FRAMES = 16;
/** Frames that one socket may send between two turns of the engine. */
const MAX_FRAMES_PER_TURN = 512;
/** Frames of one socket that may wait for a token's check. */
const MAX_WAITING_FRAMES = 64;

export const CLOSE_POLICY = 1008;
export const CLOSE_OVERLOADED = 1013;

export type ConnectionEvents = {
  frame(connection: Connection, frame: EdgeFrame): Promise<void> | void;
  closed(connection: Connection): void;
};

export class Connection {
  /** The socket's own stream numbers and the engine's. */
  readonly streams = new Map<number, number>();
  /** It has opened a stream with a good token. */
  proven = false;
  readonly #socket: WebSocket;
  readonly #raw: Socket;
  readonly #events: ConnectionEvents;
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number;
  readonly #openedAt: number;
  #lastSeen: number;
  #badFrames = 0;
  #sinceTurn = 0;
  #waiting = 0;
  #tail: Promise<void> = Promise.resolve();

  constructor(socket: WebSocket, raw: Socket, events: ConnectionEvents, now: () => number) {
    this.#socket = socket;
    this.#raw = raw;
    this.#events = events;
    this.now = now;
    this.#openedAt = now();
    this.#lastSeen = this.#openedAt;
    raw.setNoDelay(true);
    socket.on("message", (data, isBinary) => this.#receive(isBinary ? undefined : String(data)));
    socket.on("pong", () => {
      this.#lastSeen = now();
    });
    // A frame over the size limit or a broken one ends in `error`, then `close`.
    socket.on("error", () => {});
    socket.on("close", () => events.closed(this));
  }

  get ageMs(): number {
    return this.now() - this.#openedAt;
  }

  get idleMs(): number {
    return this.now() - this.#lastSeen;
  }

  ping(): void {
    if (this.#socket.readyState === this.#socket.OPEN) this.#socket.ping();
  }

  /** Sends frames as one burst: one packet where they fit. */
  send(frames: readonly VerifierFrame[]): void {
    if (this.#socket.readyState !== this.#socket.OPEN) return;
    this.#raw.cork();
    for (const frame of frames) this.#socket.send(encodeVerifierFrame(frame));
    this.#raw.uncork();
    if (this.#socket.bufferedAmount > MAX_SEND_BUFFER_BYTES)
      this.close(CLOSE_OVERLOADED, "reads slower than it is sent to");
  }

  refuse(stream: number, refusal: Refusal): void {
    this.send([{ type: "error", stream, ...refusal }]);
  }

  /** The engine has taken in what was sent: the socket may send on. */
  turned(): void {
    this.#sinceTurn = 0;
    this.#regulate();
  }

  close(code: number, reason: string): void {
    this.#socket.close(code, reason);
    // The closing handshake needs a peer that reads; this one may not.
    if (code !== 1001) setTimeout(() => this.#socket.terminate(), 1000).unref();
  }

  terminate(): void {
    this.#socket.terminate();
  }

  #receive(text: string | undefined): void {
    this.#lastSeen = this.now();
    this.#sinceTurn++;
    this.#waiting++;
    this.#regulate();
    this.#tail = this.#tail
      .then(() => this.#handle(text))
      .finally(() => {
        this.#waiting--;
        this.#regulate();
      });
  }

  /** Holds the socket back while too much of it waits, here or at the engine. */
  #regulate(): void {
    const ahead = this.#sinceTurn >= MAX_FRAMES_PER_TURN && this.streams.size > 0;
    const hold = ahead || this.#waiting >= MAX_WAITING_FRAMES;
    if (hold && !this.#socket.isPaused) this.#socket.pause();
    else if (!hold && this.#socket.isPaused) this.#socket.resume();
  }

  async #handle(text: string | undefined): Promise<void> {
    const parsed =
      text === undefined
        ? { ok: false as const, message: "frame is binary, not text" }
        : parseEdgeFrame(text);
    if (parsed.ok) return this.#events.frame(this, parsed.frame);
    this.refuse(streamOf(text), bad(parsed.message));
    if (++this.#badFrames >= MAX_BAD_FRAMES) this.close(CLOSE_POLICY, "too many bad frames");
  }
}

const bad = (message: string): Refusal => ({
  code: "bad_frame" satisfies ErrorFrame["code"],
  message: message.slice(0, 1000),
  retryable: false,
});

/** The stream that a refused frame names, 0 where none can be made out. */
function streamOf(text: string | undefined): number {
  const found = /^\s*\[(\d{1,10})\b|"stream"\s*:\s*(\d{1,10})\b/.exec((text ?? "").slice(0, 4096));
  const stream = Number(found?.[1] ?? found?.[2] ?? 0);
  return stream <= MAX_UINT32 ? stream : 0;
}
