/**
 * The two frequent frames as JSON tuples. Checked by hand: a Worker may not compile code, so that zod walks its schemas
 * there, which took half of the CPU that a token costs the edge.
 */
import {
  HINT_SOURCES,
  type HintedBranch,
  type HintFrame,
  type HintSource,
  MAX_BRANCHES,
  MAX_HINT_IDS,
  MAX_UINT32,
  type TokensFrame,
} from "./frames.ts";
import { packIds, readIds } from "./ids.ts";

const LETTERS: Record<HintSource, string> = {
  model: "m",
  lookup: "l",
  memory: "r",
  prediction: "p",
  guess: "g",
};
const SOURCES = new Map<unknown, HintSource>(HINT_SOURCES.map((source) => [LETTERS[source], source]));

export type Fault = { ok: false; message: string };
export type Parsed<T> = { ok: true; frame: T } | Fault;

export function hintTuple({ stream, path, at, ids, source, branches = [] }: HintFrame): unknown[] {
  const tuple: unknown[] = [stream, path, at, packIds(ids)];
  if (source !== "model") tuple.push(LETTERS[source]);
  for (const branch of branches) {
    tuple.push(branch.at - at);
    if (branch.from !== undefined) tuple.push(branch.from);
    tuple.push(packIds(branch.ids));
  }
  return tuple;
}

/** Of a frame without logprobs. */
export function tokensTuple({ stream, at, ids, accepted, source }: TokensFrame): unknown[] {
  const tuple: unknown[] = [stream, at, packIds(ids)];
  if (accepted > 0 || source) tuple.push(accepted);
  if (source) tuple.push(LETTERS[source]);
  return tuple;
}

export function readHint(tuple: readonly unknown[]): Parsed<HintFrame> {
  const [stream, path, at, list, letter] = tuple;
  if (!isInteger(stream, 1, MAX_UINT32)) return fault("stream", UINT32_FROM_1);
  if (!isInteger(path, 0, MAX_UINT32)) return fault("path", UINT32);
  if (!isInteger(at, 0, MAX_UINT32)) return fault("at", UINT32);
  const ids = readIds(list, 1, MAX_HINT_IDS);
  if (!ids) return fault("ids", tokenIds(1, MAX_HINT_IDS));
  const hasLetter = typeof letter === "string";
  const source = SOURCES.get(hasLetter ? letter : "m");
  if (!source) return fault("source", "is no source's letter");
  const hint: HintFrame = { type: "hint", stream, path, at, ids, source };
  const first = hasLetter ? 5 : 4;
  if (tuple.length === first) return { ok: true, frame: hint };
  const branches = readBranches(tuple, first, at);
  return Array.isArray(branches) ? { ok: true, frame: { ...hint, branches } } : branches;
}

/** What stands from entry `next` on; offsets count from position `at`. */
function readBranches(tuple: readonly unknown[], next: number, at: number): HintedBranch[] | Fault {
  const branches: HintedBranch[] = [];
  for (let entry = next; entry < tuple.length; ) {
    const n = branches.length;
    if (n === MAX_BRANCHES) return fault("branches", `are more than ${MAX_BRANCHES}`);
    const offset = tuple[entry++];
    if (!isInteger(offset, -at, MAX_UINT32 - at)) return fault(`branches.${n}.at`, UINT32);
    const from = typeof tuple[entry] === "number" ? tuple[entry++] : undefined;
    if (from !== undefined && !isInteger(from, 1, MAX_HINT_IDS - 1))
      return fault(`branches.${n}.from`, `is not from 1 to ${MAX_HINT_IDS - 1}`);
    const ids = readIds(tuple[entry++], 1, MAX_HINT_IDS);
    if (!ids) return fault(`branches.${n}.ids`, tokenIds(1, MAX_HINT_IDS));
    branches.push({ at: at + offset, ...(from !== undefined && { from }), ids });
  }
  return branches;
}

export function readTokens(tuple: readonly unknown[]): Parsed<TokensFrame> {
  const [stream, at, list, accepted = 0, letter] = tuple;
  if (tuple.length > 5) return fault("5", "confirmed ids have 5 entries at most");
  if (!isInteger(stream, 1, MAX_UINT32)) return fault("stream", UINT32_FROM_1);
  if (!isInteger(at, 0, MAX_UINT32)) return fault("at", UINT32);
  const ids = readIds(list, 1, MAX_HINT_IDS + 1);
  if (!ids) return fault("ids", tokenIds(1, MAX_HINT_IDS + 1));
  if (!isInteger(accepted, 0, MAX_HINT_IDS)) return fault("accepted", `is not from 0 to ${MAX_HINT_IDS}`);
  const frame: TokensFrame = { type: "tokens", stream, at, ids, accepted };
  if (letter === undefined) return { ok: true, frame };
  const source = SOURCES.get(letter);
  return source ? { ok: true, frame: { ...frame, source } } : fault("source", "is no source's letter");
}

const UINT32 = "is not an unsigned 32-bit integer";
const UINT32_FROM_1 = `${UINT32} from 1 on`;
export const tokenIds = (least: number, most: number) => `are not ${least} to ${most} token ids`;

export const fault = (field: string, what: string): Fault => ({
  ok: false,
  message: `frame: ${field}: ${what}`,
});

const isInteger = (value: unknown, least: number, most: number): value is number =>
  Number.isInteger(value) && (value as number) >= least && (value as number) <= most;
