/** A link that a Durable Object keeps open: one sequence of the many on it, reached by RPC. */
import type { OpenFrame } from "../../gpu-service/protocol/frames.ts";
import type { LinkKey } from "../../gpu-service/protocol/token.ts";
import { offerOf } from "../../gpu-service/protocol/versions.ts";
import { encodeEdgeFrame, parseVerifierFrame } from "../../gpu-service/protocol/wire.ts";
import { Courier } from "./courier.ts";
import { tokenFor } from "./credentials.ts";
import { LinkError, type Sequence, type SequenceSink, type VerifierLink } from "./link.ts";
import type { Shards } from "./shards.ts";
import type { FrameSink } from "./streams.ts";

/** What a link object offers, as its stub has it. */
export type LinkStub = {
  open(url: string, open: Omit<OpenFrame, "stream">, sink: FrameSink): Promise<RemoteAnswer>;
};
export type LinkObjects = { getByName(name: string): LinkStub };
type RemoteAnswer = { load: number } & Partial<Disposable> &
  ({ kind: "open"; stream: number; handle: RemoteHandle } | { kind: "refused"; message: string });
type RemoteHandle = {
  send(texts: readonly string[]): Promise<void>;
  ended(): Promise<void>;
  cancel(): Promise<void>;
};

/** Characters of hints that may be on their way to the object; hints beyond are dropped. */
const MAX_HINT_BACKLOG = 1 << 16;

/** `place`: the data centre; each has link objects of its own. */
export type SharedLinkOptions = { objects: LinkObjects; place: string; shards: Shards; key: LinkKey };

/** `url`: ws:// or wss:// of the verifier. */
export function sharedLink(url: string, { objects, place, shards, key }: SharedLinkOptions): VerifierLink {
  return {
    name: url,
    async open(request, sink) {
      const token = await tokenFor(request, key);
      const open = { ...request, type: "open", ...offerOf(), token } as const;
      const shard = shards.pick();
      const sequence = new SharedSequence(sink);
      let answer: RemoteAnswer;
      try {
        const stub = objects.getByName(`${place} ${shard} ${url}`);
        answer = await stub.open(url, open, (texts, broken) => sequence.receive(texts, broken));
      } catch (error) {
        throw new LinkError(`link object: ${error instanceof Error ? error.message : String(error)}`);
      }
      shards.note(shard, answer.load);
      if (answer.kind === "open") return sequence.opened(answer.stream, answer.handle, answer);
      answer[Symbol.dispose]?.();
      throw new LinkError(`link object: ${answer.message}`);
    },
  };
}

class SharedSequence implements Sequence {
  readonly #sink: SequenceSink;
  #live = true;
  #stream = 0;
  #handle: RemoteHandle | undefined;
  #stubs: Partial<Disposable> | undefined;
  #up: Courier | undefined;

  constructor(sink: SequenceSink) {
    this.#sink = sink;
  }

  /** `stubs`: what is to be let go of at the end. */
  opened(stream: number, handle: RemoteHandle, stubs: Partial<Disposable>): Sequence {
    const lost = (reason: string) => this.#breakOff(`the link object was lost: ${reason}`);
    this.#stream = stream;
    this.#handle = handle;
    this.#stubs = stubs;
    this.#up = new Courier((texts) => handle.send(texts), MAX_HINT_BACKLOG, lost);
    // A call that stays unanswered until the end: nothing else tells that the object was reset.
    handle.ended().catch((error: unknown) => lost(String(error)));
    if (!this.#live) this.#letGo();
    return this;
  }

  /** Called by the object. */
  receive(texts: readonly string[], broken?: string): void {
    for (const text of texts) if (this.#live) this.#frame(text);
    if (broken !== undefined) this.#breakOff(broken);
  }

  hint(hint: Parameters<Sequence["hint"]>[0]): void {
    if (this.#live) this.#up?.push(encodeEdgeFrame({ ...hint, type: "hint", stream: this.#stream }));
  }

  cancel(): void {
    if (!this.#live) return;
    this.#up?.drop();
    this.#handle?.cancel().catch(() => {});
  }

  close(): void {
    this.#live = false;
    this.#letGo();
  }

  #frame(text: string): void {
    const parsed = parseVerifierFrame(text);
    if (!parsed.ok) {
      this.#breakOff(`the verifier sent a bad ${parsed.message}`);
      return;
    }
    const { frame } = parsed;
    if (frame.type === "opened") this.#up?.push(encodeEdgeFrame({ type: "seen", stream: frame.stream }));
    if (frame.type === "done" || frame.type === "error") this.close();
    this.#sink(frame);
  }

  #breakOff(message: string): void {
    if (!this.#live) return;
    this.close();
    this.#sink({ type: "broken", message });
  }

  #letGo(): void {
    this.#up?.drop();
    this.#stubs?.[Symbol.dispose]?.();
    this.#stubs = undefined;
  }
}
