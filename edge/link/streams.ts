/**
 * The sequences that share a link: each under a number of its own, its frames brought to the request that it belongs
 * to. A request that takes them too slowly is cut off; the others do not notice.
 */
import { MAX_UINT32 } from "../../gpu-service/protocol/frames.ts";
import { encodeEdgeFrame, parseVerifierFrame } from "../../gpu-service/protocol/wire.ts";
import { Courier } from "./courier.ts";

/** Characters that a request may not have taken yet. */
export const MAX_BACKLOG = 1 << 20;

/** The function that a request passes. `broken`: why nothing follows. */
export type FrameSink = (texts: string[], broken?: string) => Promise<void> | void;
/** As it arrives over RPC: a stub, which the runtime takes back after the call unless it is duplicated. */
export type SinkStub = ((texts: string[], broken?: string) => Promise<void>) &
  Disposable & { dup(): SinkStub };
/** The socket that they share. */
export type SharedSocket = {
  send(text: string): void;
  busy(on: boolean): void;
  breakOff(message: string): void;
};

type Stream = { sink: SinkStub; courier: Courier; ended: Promise<void>; end: () => void };

export class Streams {
  readonly #socket: SharedSocket;
  readonly #streams = new Map<number, Stream>();
  #last = 0;

  constructor(socket: SharedSocket) {
    this.#socket = socket;
  }

  get size(): number {
    return this.#streams.size;
  }

  /** Keeps `sink` until the sequence ends. Returns the sequence's number. */
  add(sink: SinkStub): number {
    do this.#last = (this.#last % MAX_UINT32) + 1;
    while (this.#streams.has(this.#last));
    const stream = this.#last;
    const courier = new Courier(
      (texts) => sink(texts),
      MAX_BACKLOG,
      () => this.abandon(stream),
    );
    let end = () => {};
    const ended = new Promise<void>((resolve) => {
      end = resolve;
    });
    this.#streams.set(stream, { sink, courier, ended, end });
    this.#socket.busy(true);
    return stream;
  }

  /** The request's own frames, as text. */
  send(stream: number, texts: readonly string[]): void {
    if (this.#streams.has(stream)) for (const text of texts) this.#socket.send(text);
  }

  /** Resolves when the sequence has ended, either way. */
  async ended(stream: number): Promise<void> {
    await this.#streams.get(stream)?.ended;
  }

  cancel(stream: number): void {
    if (this.#streams.has(stream)) this.#socket.send(encodeEdgeFrame({ type: "cancel", stream }));
  }

  /** Nobody waits for it any more. */
  abandon(stream: number): void {
    this.cancel(stream);
    const abandoned = this.#remove(stream);
    if (!abandoned) return;
    abandoned.courier.drop();
    letGo(abandoned);
  }

  /** One message of the verifier. Confirmed ids are passed on unread: a bad one harms only its own request. */
  receive(text: string): void {
    const tokens = /^\[(\d{1,10}),/.exec(text);
    if (tokens) {
      this.#deliver(Number(tokens[1]), text, false);
      return;
    }
    const parsed = parseVerifierFrame(text);
    if (!parsed.ok) {
      this.#socket.breakOff(`the verifier sent a bad ${parsed.message}`);
      return;
    }
    const { type, stream } = parsed.frame;
    this.#deliver(stream, text, type === "done" || type === "error");
  }

  /** The link is gone. */
  breakAll(message: string): void {
    for (const stream of [...this.#streams.keys()]) this.#breakOff(stream, message);
  }

  #deliver(stream: number, text: string, isLast: boolean): void {
    const { courier } = this.#streams.get(stream) ?? {};
    if (!courier) return;
    if (!courier.push(text)) {
      this.#breakOff(stream, "the request takes its tokens too slowly");
    } else if (isLast) {
      const ended = this.#remove(stream)!;
      courier.whenDone(() => letGo(ended));
    }
  }

  #breakOff(stream: number, message: string): void {
    const { sink } = this.#streams.get(stream)!;
    sink([], message).catch(() => {});
    this.abandon(stream);
  }

  #remove(stream: number): Stream | undefined {
    const removed = this.#streams.get(stream);
    this.#streams.delete(stream);
    if (removed) this.#socket.busy(this.#streams.size > 0);
    return removed;
  }
}

function letGo({ sink, end }: Stream): void {
  sink[Symbol.dispose]();
  end();
}
