/** What an endpoint's answers look like; the streaming and whole forms are written by the same code (respond.ts). */
import type { CommittedToken, FinishReason } from "../completion/commit.ts";

export type Piece = { text: string; tokens: readonly CommittedToken[] };

/** Builds one `choices` entry (n is 1). `logprobs`: whether the request asked for them. */
export interface Shape {
  readonly idPrefix: string;
  readonly wholeObject: string;
  readonly chunkObject: string;
  /** What a stream begins with before any text, if anything. */
  opening(): object | undefined;
  chunk(piece: Piece): object;
  /** The last chunk: no text, why it ended. */
  closing(reason: FinishReason): object;
  whole(piece: Piece, reason: FinishReason): object;
}
