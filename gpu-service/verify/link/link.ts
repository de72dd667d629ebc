/**
 * Joins sockets and engine: checks each `open`, gives every stream a number of its own in the engine, and
 * brings the engine's frames back to the socket and stream they belong to. A sequence lives no longer than
 * its socket.
 */
import type { Logger } from "pino";
import type { EdgeFrame, OpenFrame, VerifierFrame } from "../../protocol/frames.ts";
import type { Engine } from "../engines/engine.ts";
import type { Metrics } from "../metrics.ts";
import { CLOSE_POLICY, type Connection, MAX_STREAMS_PER_SOCKET } from "./connection.ts";
import { admitOpen, type Gate, type Refusal } from "./handshake.ts";

type Route = {
  connection: Connection;
  stream: number;
  /** The version that was agreed on, where it is not the one that was asked for. */
  protocol?: number;
  /** When `opened` was sent, and how long the edge's answer to it took. Milliseconds. */
  openedAt?: number;
  tripMs?: number;
  /** What its log lines carry: the trace that the request is part of. */
  trace: { traceparent?: string };
};

const SHUTTING_DOWN: Refusal = {
  code: "overloaded",
  message: "the verifier is shutting down",
  retryable: true,
};

export class Link {
  readonly #engine: Engine;
  readonly #gate: Gate;
  readonly #metrics: Metrics;
  readonly #log: Logger;
  readonly #connections = new Set<Connection>();
  readonly #routes = new Map<number, Route>();
  #nextKey = 1;
  #draining = false;
  #onEmpty = () => {};

  constructor(engine: Engine, gate: Gate, metrics: Metrics, log: Logger) {
    this.#engine = engine;
    this.#gate = gate;
    this.#metrics = metrics;
    this.#log = log;
  }

  get connections(): ReadonlySet<Connection> {
    return this.#connections;
  }

  opened(connection: Connection): void {
    this.#connections.add(connection);
    this.#metrics.sockets.set(this.#connections.size);
  }

  /** The socket is gone: so are its sequences. */
  closed(connection: Connection): void {
    this.#connections.delete(connection);
    this.#metrics.sockets.set(this.#connections.size);
    for (const key of connection.streams.values()) this.#engine.send({ type: "cancel", stream: key });
  }

  async receive(connection: Connection, frame: EdgeFrame): Promise<void> {
    if (frame.type === "open") return this.#open(connection, frame);
    // A hint or cancel that crosses the stream's end on the way names no stream any more: not an error.
    const key = connection.streams.get(frame.stream);
    if (key === undefined) return;
    if (frame.type === "seen") this.#seen(this.#routes.get(key)!);
    else this.#engine.send({ ...frame, stream: key });
  }

  /** Frames of one turn of the engine, sent as one burst per socket; sockets held back may send on. */
  deliver(frames: readonly VerifierFrame[]): void {
    const bursts = new Map<Connection, VerifierFrame[]>();
    for (const frame of frames) {
      const route = this.#routes.get(frame.stream);
      if (!route) continue;
      if (frame.type === "done" || frame.type === "error") this.#end(frame, route);
      const burst = bursts.get(route.connection);
      const own = ownFrame(frame, route);
      if (burst) burst.push(own);
      else bursts.set(route.connection, [own]);
    }
    for (const [connection, burst] of bursts) connection.send(burst);
    for (const connection of this.#connections) connection.turned();
  }

  /** Ends sockets that have not been heard of for `leaseMs`, and asks the others for a sign of life. */
  checkLeases(leaseMs: number): void {
    for (const connection of this.#connections) {
      if (!connection.proven && connection.ageMs > leaseMs) {
        connection.close(CLOSE_POLICY, "opened nothing");
        continue;
      }
      if (connection.idleMs <= leaseMs) {
        connection.ping();
        continue;
      }
      const message = `nothing heard for ${leaseMs} ms`;
      for (const stream of connection.streams.keys())
        connection.refuse(stream, { code: "lease_expired", message, retryable: true });
      this.#log.warn({ streams: connection.streams.size }, "lease expired");
      connection.terminate();
    }
  }

  /** Takes no new completion; resolves when those that run have ended or `graceMs` have passed. */
  async drain(graceMs: number): Promise<void> {
    this.#draining = true;
    if (this.#routes.size > 0) {
      await new Promise<void>((resolve) => {
        this.#onEmpty = resolve;
        setTimeout(resolve, graceMs).unref();
      });
    }
    this.abandon(SHUTTING_DOWN);
  }

  /** Ends every stream with an error, and every socket. */
  abandon(refusal: Refusal): void {
    for (const connection of this.#connections) {
      for (const stream of connection.streams.keys()) connection.refuse(stream, refusal);
      connection.close(1001, "going away");
    }
  }

  async #open(connection: Connection, open: OpenFrame): Promise<void> {
    const { stream, traceparent } = open;
    const trace = traceparent === undefined ? {} : { traceparent };
    const refuse = (refusal: Refusal, onStream = stream) => {
      this.#metrics.refused.inc({ code: refusal.code });
      this.#log.info({ code: refusal.code, reason: refusal.message, ...trace }, "open refused");
      connection.refuse(onStream, refusal);
    };
    if (connection.streams.has(stream)) {
      // Named on stream 0: the stream of that number is running, and not at fault.
      const message = `open: stream ${stream} is open already`;
      return refuse({ code: "invalid_request", message, retryable: false }, 0);
    }
    if (this.#draining) return refuse(SHUTTING_DOWN);
    if (connection.streams.size >= MAX_STREAMS_PER_SOCKET) {
      const message = `open: ${MAX_STREAMS_PER_SOCKET} streams are open on this socket`;
      return refuse({ code: "overloaded", message, retryable: true });
    }
    const admitted = await admitOpen(open, this.#gate);
    if (!admitted.ok) return refuse(admitted.refusal);
    if (!this.#connections.has(connection)) return;
    const key = this.#nextKey++;
    connection.proven = true;
    connection.streams.set(stream, key);
    const { protocol } = admitted;
    this.#routes.set(key, { connection, stream, trace, ...(protocol !== open.protocol && { protocol }) });
    this.#engine.send({ ...admitted.start, stream: key });
  }

  #seen(route: Route): void {
    if (route.openedAt !== undefined) route.tripMs ??= route.connection.now() - route.openedAt;
  }

  #end(
    frame: Extract<VerifierFrame, { type: "done" | "error" }>,
    { connection, stream, trace }: Route,
  ): void {
    this.#routes.delete(frame.stream);
    connection.streams.delete(stream);
    const outcome = frame.type === "done" ? frame.reason : frame.code;
    this.#metrics.sequences.inc({ outcome });
    if (frame.type === "done")
      this.#log.info({ outcome, ...trace, ...frame.counts, ...frame.timings }, "done");
    else this.#log.info({ code: frame.code, reason: frame.message, ...trace }, "refused");
    if (this.#routes.size === 0) this.#onEmpty();
  }
}

/** The engine's frame as its socket gets it: under the socket's own number, with what the link has measured. */
function ownFrame(frame: VerifierFrame, route: Route): VerifierFrame {
  const own = { ...frame, stream: route.stream };
  if (own.type === "opened") {
    route.openedAt = route.connection.now();
    return { ...own, ...(route.protocol !== undefined && { protocol: route.protocol }) };
  }
  if (own.type !== "done" || route.openedAt === undefined) return own;
  const { tripMs } = route;
  const trip =
    tripMs === undefined ? { trip_over_ms: route.connection.now() - route.openedAt } : { trip_ms: tripMs };
  return { ...own, timings: { ...own.timings, ...trip } };
}
