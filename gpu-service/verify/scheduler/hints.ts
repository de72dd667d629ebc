/**
 * Hints that wait for their turn, matched against the committed text by position and by path.
 *
 * A path is one drafted line, kept as a sparse map from position to id, with branches beside it. Where the text leaves
 * the line the path is refused: its rest, and whatever arrives for it later, is dropped, and only a branch that leads
 * on from the text's own tokens is still followed. A newer path drops the older, but for branches that are being
 * followed: it may lead on from their ends.
 */
import {
  HINT_SOURCES,
  type HintedBranch,
  type HintFrame,
  type HintSource,
  MAX_HINT_IDS,
} from "../../protocol/frames.ts";
import { agrees, covers, endOf, isPrefix, type Stretch } from "./stretch.ts";

/** Ids further ahead of the committed text than this are dropped. */
export const MAX_WAITING_IDS = 512;
export const MAX_WAITING_BRANCHES = 16;

/** Of `path`, from its beginning on. One that the text has followed to its end may still grow. */
type Branch = Stretch & { path: number; source: HintSource };
export type Hint = Pick<HintFrame, "path" | "at" | "ids" | "source" | "branches">;
/** What is foretold to follow the committed text, and by which source each id. */
export type Foretold = { ids: readonly number[]; sources: readonly HintSource[] };

export class HintStore {
  #path = -1;
  #refusedAt = Number.POSITIVE_INFINITY;
  #isAstray = true;
  /** Position to id and source, packed as id × 8 + index in HINT_SOURCES. */
  readonly #line = new Map<number, number>();
  #branches: Branch[] = [];

  /** Whether the text has left everything that was hinted: what leads on from it has yet to be drafted. */
  get isAstray(): boolean {
    return this.#isAstray;
  }

  /** Position where the text left the newest path's line; Infinity while it has not. */
  get refusedAt(): number {
    return this.#refusedAt;
  }

  /** The newest path of which a hint came, -1 before the first. */
  get path(): number {
    return this.#path;
  }

  /** Takes a hint in. `text`: all committed ids; what the hint says of positions in it must agree. */
  add(hint: Hint, text: readonly number[]): void {
    if (hint.path < this.#path) return;
    if (hint.path > this.#path) this.#begin(hint.path, text);
    const branches = (hint.branches ?? []).flatMap((branch) => this.#whole(branch, hint) ?? []);
    this.#isAstray = !agrees(hint, text) && !branches.some((branch) => agrees(branch, text));
    for (const branch of branches) this.#addBranch(branch, text);
    if (this.#refusedAt === Number.POSITIVE_INFINITY) this.#addToLine(hint, text);
    else this.#isAstray &&= this.#branches.every((branch) => endOf(branch) <= text.length);
  }

  /** The text goes on with `id` at `position`: what foretold otherwise is dropped. */
  advance(position: number, id: number): void {
    const packed = this.#line.get(position);
    const covering = this.#branches.filter((b) => covers(b, position));
    const isFollowed = covering.some((b) => b.ids[position - b.at] === id);
    this.#line.delete(position);
    const isOnLine = packed === undefined ? covering.length === 0 || isFollowed : packed >>> 3 === id;
    if (!isOnLine) this.#refuse(position);
    if (!isOnLine && !isFollowed) this.#isAstray = true;
    if (this.#branches.length > 0) {
      this.#branches = this.#branches.filter((b) => !covers(b, position) || b.ids[position - b.at] === id);
    }
  }

  /** What follows the committed text, from position `end` on: at most `most` ids. */
  next(end: number, most: number): Foretold | undefined {
    const ids: number[] = [];
    const sources: HintSource[] = [];
    const branch = this.#line.has(end) ? undefined : this.#branches.find((b) => covers(b, end));
    for (let i = end - (branch?.at ?? end); branch && i < branch.ids.length && ids.length < most; i++) {
      ids.push(branch.ids[i]!);
      sources.push(branch.source);
    }
    while (ids.length < most) {
      const packed = this.#line.get(end + ids.length);
      if (packed === undefined) break;
      ids.push(packed >>> 3);
      sources.push(HINT_SOURCES[packed & 7]!);
    }
    return ids.length > 0 ? { ids, sources } : undefined;
  }

  /** A branch that the text has begun to follow may be what the new path leads on from. */
  #begin(path: number, text: readonly number[]): void {
    this.#path = path;
    this.#refusedAt = Number.POSITIVE_INFINITY;
    this.#line.clear();
    this.#branches = this.#branches.filter((b) => b.at < text.length && text.length < endOf(b));
  }

  #addToLine(hint: Hint, text: readonly number[]): void {
    const source = HINT_SOURCES.indexOf(hint.source);
    for (let i = 0; i < hint.ids.length; i++) {
      const position = hint.at + i;
      const id = hint.ids[i]!;
      if (position >= text.length + MAX_WAITING_IDS) return;
      if (position >= text.length) {
        this.#line.set(position, id * 8 + source);
        this.#dropOvertaken(position, id, text.length);
      } else if (text[position] !== id) {
        this.#refuse(position);
        return;
      }
    }
  }

  /** Where a newer path says otherwise than a branch that it found being followed, the branch is out of date. */
  #dropOvertaken(position: number, id: number, end: number): void {
    if (this.#branches.length === 0) return;
    this.#branches = this.#branches.filter(
      (b) => b.at >= end || position >= endOf(b) || b.ids[position - b.at] === id,
    );
  }

  /** The text left the line at `position`: branches that begin after it hang in the air. */
  #refuse(position: number): void {
    this.#refusedAt = Math.min(this.#refusedAt, position);
    this.#line.clear();
    this.#branches = this.#branches.filter((b) => b.at <= position);
  }

  /** A branch from its beginning on; undefined where it goes on from what is not known, or not the end of it. */
  #whole({ at, from, ids }: HintedBranch, { path, source }: Hint): Branch | undefined {
    if (from === undefined) return { path, at, ids, source };
    const known = this.#branches.find((b) => b.path === path && b.at === at && b.ids.length === from);
    return known && { ...known, ids: [...known.ids, ...ids].slice(0, MAX_HINT_IDS) };
  }

  /** Adds a branch, or what it has more than one that is there already. */
  #addBranch(branch: Branch, text: readonly number[]): void {
    if (branch.at > this.#refusedAt || branch.at >= text.length + MAX_WAITING_IDS) return;
    if (!agrees(branch, text)) return;
    const same = this.#branches.findIndex((b) => b.at === branch.at && isPrefix(b.ids, branch.ids));
    if (same >= 0) this.#branches[same] = branch;
    else if (this.#branches.length < MAX_WAITING_BRANCHES) this.#branches.push(branch);
  }
}
