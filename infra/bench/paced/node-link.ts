/** The link as the edge has it, over a WebSocket of Node's: the benchmarks run the edge's drafter in their own process. */
import { WebSocket } from "ws";
import { tokenFor } from "../../../edge/link/credentials.ts";
import {
  type Hint,
  LinkError,
  type SequenceRequest,
  type SequenceSink,
  type VerifierLink,
} from "../../../edge/link/link.ts";
import type { EdgeFrame } from "../../../gpu-service/protocol/frames.ts";
import type { LinkKey } from "../../../gpu-service/protocol/token.ts";
import { offerOf } from "../../../gpu-service/protocol/versions.ts";
import { encodeEdgeFrame, parseVerifierFrame } from "../../../gpu-service/protocol/wire.ts";

/** A link of each sequence's own: it connects at `open`, and closes with the sequence. */
export const ownNodeLink = (port: number, key: LinkKey, silenceMs?: number): VerifierLink => ({
  name: linkUrl(port),
  async open(request, sink) {
    const link = await NodeLink.connect(port, key, silenceMs);
    const sequence = await link.open(request, sink);
    return {
      ...sequence,
      close() {
        sequence.close();
        link.close();
      },
    };
  },
});

const linkUrl = (port: number): string => `ws://127.0.0.1:${port}/link`;

/** One socket that stays open, one sequence after the other (or beside it) on it. */
export class NodeLink implements VerifierLink {
  readonly name: string;
  readonly #socket: WebSocket;
  readonly #key: LinkKey;
  readonly #sinks = new Map<number, SequenceSink>();
  #streams = 0;
  #heardAt = performance.now();
  readonly #watch: NodeJS.Timeout | undefined;

  private constructor(name: string, socket: WebSocket, key: LinkKey, silenceMs: number | undefined) {
    this.name = name;
    this.#socket = socket;
    this.#key = key;
    socket.on("message", (data) => this.#receive(String(data)));
    socket.on("error", () => {});
    socket.on("close", (code) => this.#break(`the link closed (${code})`));
    if (silenceMs === undefined) return;
    this.#watch = setInterval(() => {
      if (performance.now() - this.#heardAt > silenceMs) this.#break(`nothing was said for ${silenceMs} ms`);
    }, silenceMs / 4);
  }

  /** `silenceMs`: a link that says nothing for so long is lost. Rejects with a LinkError. */
  static connect(port: number, key: LinkKey, silenceMs?: number): Promise<NodeLink> {
    const url = linkUrl(port);
    const socket = new WebSocket(url, silenceMs === undefined ? {} : { handshakeTimeout: silenceMs });
    return new Promise((resolve, reject) => {
      socket.once("open", () => resolve(new NodeLink(url, socket, key, silenceMs)));
      socket.once("error", (error) => reject(new LinkError(`${url}: ${error.message}`)));
    });
  }

  async open(request: SequenceRequest, sink: SequenceSink) {
    const token = await tokenFor(request, this.#key);
    if (this.#socket.readyState !== WebSocket.OPEN) throw new LinkError(`${this.name}: is closed`);
    const stream = ++this.#streams;
    this.#sinks.set(stream, sink);
    this.#send({ ...request, type: "open", stream, ...offerOf(), token });
    return {
      hint: (hint: Hint) => this.#send({ ...hint, type: "hint", stream }),
      cancel: () => this.#send({ type: "cancel", stream }),
      close: () => void this.#sinks.delete(stream),
    };
  }

  close(): void {
    clearInterval(this.#watch);
    this.#socket.terminate();
  }

  #send(frame: EdgeFrame): void {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(encodeEdgeFrame(frame));
  }

  #receive(text: string): void {
    this.#heardAt = performance.now();
    const parsed = parseVerifierFrame(text);
    if (!parsed.ok) {
      this.#break(`a bad ${parsed.message}`);
      return;
    }
    const { frame } = parsed;
    if (frame.type === "opened") this.#send({ type: "seen", stream: frame.stream });
    this.#sinks.get(frame.stream)?.(frame);
  }

  #break(message: string): void {
    clearInterval(this.#watch);
    for (const sink of this.#sinks.values()) sink({ type: "broken", message });
    this.#sinks.clear();
    this.#socket.terminate();
  }
}
