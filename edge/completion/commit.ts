/**
 * Commits confirmed ids one by one: the earliest end wins, wherever in a block it falls.
 *
 * Pure: ids in, text and the tokens that it is made of out. What lies behind the end of the text is never
 * delivered and never counted.
 */
import type { HintSource, LogprobEntry, TokensFrame } from "../../gpu-service/protocol/frames.ts";
import { Detokenizer } from "../text/detokenizer.ts";
import { StopScanner } from "../text/stops.ts";
import type { TokenBytes } from "../text/token-bytes.ts";

export type FinishReason = "stop" | "length";
export type CommittedToken = {
  id: number;
  /** Where its text begins in the completion, in UTF-16 units. */
  offset: number;
  /** Null where there can be none: for the first token of all. */
  logprob: LogprobEntry | null | undefined;
  /** It ends the text and is no part of it. */
  isEnd?: boolean;
};
/** A stretch of text whose tokens come from the same source; null: the target's own. */
export type Delta = { text: string; tokens: CommittedToken[]; source: HintSource | null; count: number };
export type Committed = { deltas: Delta[]; finish: FinishReason | null };

type Pending = { token: CommittedToken; end: number };

export class Committer {
  readonly #detokenizer: Detokenizer;
  readonly #stops: StopScanner;
  readonly #endIds: ReadonlySet<number>;
  readonly #maxTokens: number;
  readonly ids: number[] = [];
  #made = 0;
  #delivered = 0;
  /** Tokens whose text is not delivered yet. */
  #pending: Pending[] = [];

  constructor(settings: {
    bytesOf: TokenBytes;
    stops: readonly string[];
    endIds: readonly number[];
    maxTokens: number;
  }) {
    this.#detokenizer = new Detokenizer(settings.bytesOf);
    this.#stops = new StopScanner(settings.stops);
    this.#endIds = new Set(settings.endIds);
    this.#maxTokens = settings.maxTokens;
  }

  commit(frame: Pick<TokensFrame, "ids" | "accepted" | "source" | "logprobs">): Committed {
    const deltas: Delta[] = [];
    for (const [i, id] of frame.ids.entries()) {
      const source = i < frame.accepted ? (frame.source ?? null) : null;
      const delta = deltaOf(deltas, source);
      delta.count++;
      const finish = this.#commitOne(id, frame.logprobs?.[i], delta);
      if (finish) return { deltas, finish };
    }
    return { deltas, finish: null };
  }

  /** The verifier ended the text where this side saw no end of it. */
  end(): Committed {
    const delta = deltaOf([], null);
    return { deltas: [delta], finish: this.#flush("length", delta) };
  }

  #commitOne(id: number, logprob: LogprobEntry | undefined, delta: Delta): FinishReason | null {
    this.ids.push(id);
    const isEnd = this.#endIds.has(id);
    const piece = isEnd ? "" : this.#detokenizer.push(id);
    const offset = this.#made;
    this.#made += piece.length;
    const token: CommittedToken = { id, offset, logprob, ...(isEnd && { isEnd }) };
    this.#pending.push({ token, end: this.#made });
    const { text, stopped } = this.#stops.push(piece);
    this.#deliver(text, delta);
    if (stopped) return this.#stopAtString(delta);
    if (isEnd) return this.#flush("stop", delta);
    return this.ids.length >= this.#maxTokens ? this.#flush("length", delta) : null;
  }

  #deliver(text: string, delta: Delta): void {
    delta.text += text;
    this.#delivered += text.length;
    while (this.#pending[0] && this.#pending[0].end <= this.#delivered) {
      delta.tokens.push(this.#pending.shift()!.token);
    }
  }

  /** The token in which the stop string begins is shown if some of its text is. */
  #stopAtString(delta: Delta): FinishReason {
    const shown = this.#pending.filter(({ token }) => token.offset < this.#delivered);
    delta.tokens.push(...shown.map(({ token }) => token));
    return "stop";
  }

  /** Nothing can follow: half a character and what may have become a stop string are text after all. */
  #flush(reason: FinishReason, delta: Delta): FinishReason {
    const tail = this.#detokenizer.end();
    this.#made += tail.length;
    const { text, stopped } = this.#stops.push(tail);
    this.#deliver(text, delta);
    if (stopped) return this.#stopAtString(delta);
    this.#deliver(this.#stops.end(), delta);
    delta.tokens.push(...this.#pending.map(({ token }) => token));
    return reason;
  }
}

function deltaOf(deltas: Delta[], source: HintSource | null): Delta {
  const last = deltas.at(-1);
  if (last && last.source === source) return last;
  const delta: Delta = { text: "", tokens: [], source, count: 0 };
  deltas.push(delta);
  return delta;
}
