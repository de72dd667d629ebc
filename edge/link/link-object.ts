/**
 * The warm link: one authenticated socket to one replica of the verifier, kept open by a Durable Object, which
 * serves the requests of its neighbourhood by RPC. It knows no key: each request brings its own token.
 *
 * A request passes a function that takes the verifier's frames, and gets a handle for its own. A request that is gone
 * drops its handle, which cancels its sequence.
 */
import { DurableObject, RpcTarget } from "cloudflare:workers";
import type { OpenFrame } from "../../gpu-service/protocol/frames.ts";
import { encodeEdgeFrame } from "../../gpu-service/protocol/wire.ts";
import { type FrameSink, type SinkStub, Streams } from "./streams.ts";
import { WarmSocket } from "./warm-socket.ts";

/** Half of what a verifier takes on one socket, and what one object's thread keeps up with. */
export const MAX_STREAMS = 128;

/** `load`: the share of the object's streams that are in use. */
export type LinkAnswer =
  | { kind: "open"; stream: number; handle: StreamHandle; load: number }
  | { kind: "refused"; message: string; load: number };

export class LinkObject extends DurableObject {
  readonly #socket = new WarmSocket(
    {
      text: (text) => this.#streams.receive(text),
      broken: (message) => this.#streams.breakAll(message),
    },
    () => Date.now(),
  );
  readonly #streams = new Streams(this.#socket);

  /** A verifier that cannot be reached is a refusal, not an error. `sink` arrives as a stub. */
  async open(url: string, open: Omit<OpenFrame, "stream">, sink: FrameSink): Promise<LinkAnswer> {
    const kept = (sink as SinkStub).dup();
    const failure = await this.#socket.ready(url);
    const isFull = this.#streams.size >= MAX_STREAMS;
    if (failure || isFull) {
      kept[Symbol.dispose]();
      const message = failure ?? `${MAX_STREAMS} sequences share this link already`;
      return { kind: "refused", message, load: this.#load };
    }
    const stream = this.#streams.add(kept);
    this.#socket.send(encodeEdgeFrame({ ...open, stream }));
    return { kind: "open", stream, handle: new StreamHandle(this.#streams, stream), load: this.#load };
  }

  get #load(): number {
    return this.#streams.size / MAX_STREAMS;
  }
}

/** One sequence of a link object, in the hands of its request. */
export class StreamHandle extends RpcTarget {
  readonly #streams: Streams;
  readonly #stream: number;

  constructor(streams: Streams, stream: number) {
    super();
    this.#streams = streams;
    this.#stream = stream;
  }

  /** Frames of this sequence, as text. */
  send(texts: readonly string[]): void {
    this.#streams.send(this.#stream, texts);
  }

  /** Answered when the sequence has ended; fails when the object is lost. */
  ended(): Promise<void> {
    return this.#streams.ended(this.#stream);
  }

  cancel(): void {
    this.#streams.cancel(this.#stream);
  }

  [Symbol.dispose](): void {
    this.#streams.abandon(this.#stream);
  }
}
