/**
 * Hints that wait for their turn, matched against the committed text by position and by path.
 *
 * A path is one drafted line, kept as a sparse map from position to id, with branches beside it. A newer path
 * drops the older; where the text leaves the line the path is refused: its rest, and whatever arrives for it
 * later, is dropped, and only a branch that leads on from the text's own token is still followed.
 */
import { HINT_SOURCES, type HintFrame, type HintSource } from "../../protocol/frames.ts";

/** Ids further ahead of the committed text than this are dropped. */
export const MAX_WAITING_IDS = 512;
export const MAX_WAITING_BRANCHES = 16;

type Branch = { at: number; ids: readonly number[]; source: HintSource };
export type Hint = Pick<HintFrame, "path" | "at" | "ids" | "source" | "branches">;
/** What is foretold to follow the committed text, and by which source each id. */
export type Foretold = { ids: readonly number[]; sources: readonly HintSource[] };

export class HintStore {
  #path = -1;
  #refused = false;
  /** Position to id and source, packed as id × 8 + index in HINT_SOURCES. */
  readonly #line = new Map<number, number>();
  #branches: Branch[] = [];

  /** Takes a hint in. `text`: all committed ids; what the hint says of positions in it must agree. */
  add(hint: Hint, text: readonly number[]): void {
    if (hint.path < this.#path || (hint.path === this.#path && this.#refused)) return;
    if (hint.path > this.#path) this.#begin(hint.path);
    const source = HINT_SOURCES.indexOf(hint.source);
    let refusedAt = Number.POSITIVE_INFINITY;
    for (let i = 0; i < hint.ids.length; i++) {
      const position = hint.at + i;
      if (position >= text.length + MAX_WAITING_IDS) break;
      if (position >= text.length) this.#line.set(position, hint.ids[i]! * 8 + source);
      else if (text[position] !== hint.ids[i]) {
        refusedAt = position;
        break;
      }
    }
    for (const branch of hint.branches ?? []) this.#addBranch({ ...branch, source: hint.source }, text);
    if (refusedAt < Number.POSITIVE_INFINITY) this.#refuse(refusedAt);
  }

  /** The text goes on with `id` at `position`: what foretold otherwise is dropped. */
  advance(position: number, id: number): void {
    const packed = this.#line.get(position);
    if (packed !== undefined) {
      this.#line.delete(position);
      if (packed >>> 3 !== id) this.#refuse(position);
    }
    if (this.#branches.length > 0) {
      this.#branches = this.#branches.filter((b) => position < b.at || leadsOn(b, position, id));
    }
  }

  /** What follows the committed text, from position `end` on: at most `most` ids. */
  next(end: number, most: number): Foretold | undefined {
    const ids: number[] = [];
    const sources: HintSource[] = [];
    for (let packed = this.#line.get(end); packed !== undefined && ids.length < most; ) {
      ids.push(packed >>> 3);
      sources.push(HINT_SOURCES[packed & 7]!);
      packed = this.#line.get(end + ids.length);
    }
    if (ids.length > 0) return { ids, sources };
    const branch = this.#branches.find((b) => b.at <= end);
    if (!branch) return undefined;
    const rest = branch.ids.slice(end - branch.at, end - branch.at + most);
    return { ids: rest, sources: rest.map(() => branch.source) };
  }

  clear(): void {
    this.#line.clear();
    this.#branches = [];
  }

  #begin(path: number): void {
    this.clear();
    this.#path = path;
    this.#refused = false;
  }

  /** The text left the line at `position`: branches that begin after it hang in the air. */
  #refuse(position: number): void {
    this.#refused = true;
    this.#line.clear();
    this.#branches = this.#branches.filter((b) => b.at <= position);
  }

  #addBranch(branch: Branch, text: readonly number[]): void {
    if (this.#branches.length >= MAX_WAITING_BRANCHES) return;
    if (branch.at >= text.length + MAX_WAITING_IDS || branch.at + branch.ids.length <= text.length) return;
    for (let position = branch.at; position < text.length; position++) {
      if (text[position] !== branch.ids[position - branch.at]) return;
    }
    this.#branches.push(branch);
  }
}

/** Whether a branch that covers `position` agrees with `id` there and has more to say. */
const leadsOn = (branch: Branch, position: number, id: number): boolean =>
  branch.ids[position - branch.at] === id && position + 1 < branch.at + branch.ids.length;
