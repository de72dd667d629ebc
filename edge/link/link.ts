/**
 * The link as a completion sees it: a sequence is opened on a replica, hints go up, frames come down.
 * How the frames travel (a socket of the request's own, or a shared one) is the implementation's business.
 */
import type { HintFrame, OpenFrame, VerifierFrame } from "../../gpu-service/protocol/frames.ts";

export type SequenceRequest = Omit<OpenFrame, "type" | "stream" | "protocol" | "token">;
export type Hint = Omit<HintFrame, "type" | "stream">;
/** `broken`: the transport failed or closed before the sequence was done; nothing follows it. */
export type SequenceEvent = VerifierFrame | { type: "broken"; message: string };
export type SequenceSink = (event: SequenceEvent) => void;

export interface Sequence {
  hint(hint: Hint): void;
  /** Asks the verifier to stop; its `done` still arrives. */
  cancel(): void;
  /** Gives everything back; nothing arrives any more. May be called twice. */
  close(): void;
}

/** One replica of the verifier. */
export interface VerifierLink {
  readonly name: string;
  /** Rejects with a LinkError if the replica cannot be reached. */
  open(request: SequenceRequest, sink: SequenceSink): Promise<Sequence>;
}

export class LinkError extends Error {
  override name = "LinkError";
}
