/** An edge as the verifier sees it: opens streams, sends hints, collects frames. */
import { WebSocket } from "ws";
import {
  type EdgeFrame,
  type HintFrame,
  type OpenFrame,
  PROTOCOL_VERSION,
  type VerifierFrame,
} from "../../gpu-service/protocol/frames.ts";
import { signToken } from "../../gpu-service/protocol/token.ts";
import { encodeEdgeFrame, parseVerifierFrame } from "../../gpu-service/protocol/wire.ts";
import { GREEDY } from "./sequences.ts";
import { LINK_KEY, type VerifierProcess } from "./verifier-process.ts";

export type Ask = Partial<OpenFrame> & { prompt: number[] };
/** What to hint, given the output so far: called at the start and after each frame of tokens. */
export type Hinter = (output: readonly number[]) => Omit<HintFrame, "type" | "stream">[];

export type Completed = {
  ids: number[];
  frames: VerifierFrame[];
  end: Extract<VerifierFrame, { type: "done" | "error" }>;
};

export class LinkClient {
  readonly socket: WebSocket;
  readonly #verifier: VerifierProcess;
  readonly #sinks = new Map<number, (frame: VerifierFrame) => void>();
  #nextStream = 1;

  constructor(socket: WebSocket, verifier: VerifierProcess) {
    this.socket = socket;
    this.#verifier = verifier;
    socket.on("message", (data) => {
      const parsed = parseVerifierFrame(String(data));
      if (!parsed.ok) throw new Error(`the verifier sent ${data}: ${parsed.message}`);
      this.#sinks.get(parsed.frame.stream)?.(parsed.frame);
    });
  }

  static connect(verifier: VerifierProcess): Promise<LinkClient> {
    const socket = new WebSocket(`ws://127.0.0.1:${verifier.port}/link`);
    return new Promise((resolve, reject) => {
      socket.once("open", () => resolve(new LinkClient(socket, verifier)));
      socket.once("error", reject);
    });
  }

  token(tenant = "t", more: Record<string, unknown> = {}): Promise<string> {
    const exp = Math.floor(Date.now() / 1000) + 30;
    const claims = { aud: this.#verifier.target, kid: LINK_KEY.id, tenant, nonce: crypto.randomUUID() };
    return signToken({ ...claims, iat: exp - 30, exp, ...more }, LINK_KEY.secret);
  }

  /** A frame as an edge sends it; text as it is. */
  send(frame: EdgeFrame | string): void {
    this.socket.send(typeof frame === "string" ? frame : encodeEdgeFrame(frame));
  }

  /** The next frame on `stream`. */
  next(stream: number): Promise<VerifierFrame> {
    return new Promise((resolve) => this.#sinks.set(stream, resolve));
  }

  async openFrame(ask: Ask, stream = this.#nextStream++): Promise<OpenFrame> {
    return {
      type: "open",
      stream,
      protocol: PROTOCOL_VERSION,
      target: this.#verifier.target,
      tokenizer: this.#verifier.tokenizer,
      sampling: GREEDY,
      max_tokens: 48,
      stop_ids: [],
      drafts: true,
      tenant: "t",
      token: await this.token(ask.tenant),
      ...ask,
    };
  }

  /** Runs one completion to its end. `onTokens` may cancel or cut. */
  async complete(ask: Ask, hinter?: Hinter, onTokens?: (stream: number) => void): Promise<Completed> {
    const open = await this.openFrame(ask);
    const { stream } = open;
    const ids: number[] = [];
    const frames: VerifierFrame[] = [];
    const hint = () => {
      for (const h of hinter?.(ids) ?? []) this.send({ type: "hint", stream, ...h });
    };
    return new Promise((resolve) => {
      this.#sinks.set(stream, (frame) => {
        frames.push(frame);
        if (frame.type === "tokens") {
          ids.push(...frame.ids);
          hint();
          onTokens?.(stream);
        }
        if (frame.type === "done" || frame.type === "error") {
          this.#sinks.delete(stream);
          resolve({ ids, frames, end: frame });
        }
      });
      this.send(open);
      hint();
    });
  }

  close(): void {
    this.socket.close();
  }
}
