/** What an endpoint's answers look like; the streaming and whole forms are written by the same code (respond.ts). */
import type { CommittedToken, FinishReason } from "../completion/commit.ts";

export type Piece = { text: string; tokens: readonly CommittedToken[] };

/** Builds `choices` entries; `index`: the choice's number in the answer. */
export interface Shape {
  readonly idPrefix: string;
  readonly wholeObject: string;
  readonly chunkObject: string;
  /** A piece without text is shown too: its tokens' log probabilities were asked for. */
  readonly showsTokens: boolean;
  /** What a choice's stream begins with before any text, if anything. */
  opening(index: number): object | undefined;
  chunk(index: number, piece: Piece): object;
  /** The last chunk of a choice: no text, why it ended. */
  closing(index: number, reason: FinishReason): object;
  whole(index: number, piece: Piece, reason: FinishReason): object;
}
