/**
 * Frames as text. Hints and confirmed ids, which are nearly all of the traffic, travel as tuples:
 *
 *     [stream, path, at, ids, source, offset, from, ids, offset, from, ids, …]    a hint, the edge's only tuple
 *     [stream, at, ids, accepted, source]                                         confirmed ids, the verifier's only tuple
 *
 * Offset, from and ids are a branch at `at` + offset. Left out: the source "m" of a hint; the `from` of a branch that is
 * named from its beginning; 0 accepted and no source.
 * Sources by letter. Everything else, and confirmed ids with logprobs, is an object that names its fields; a reader
 * takes either form of either frame. In tuples, and in the `prompt` and `confirmed` of an `open`, ids are packed into
 * a string (`ids.ts`).
 */
import type { z } from "zod";
import {
  type EdgeFrame,
  edgeFrame,
  MAX_FRAME_BYTES,
  MAX_PROMPT_IDS,
  NEUTRAL_SAMPLING,
  type OpenFrame,
  type Sampling,
  type VerifierFrame,
  verifierFrame,
} from "./frames.ts";
import { packIds, readIds } from "./ids.ts";
import {
  type Fault,
  fault,
  hintTuple,
  type Parsed,
  readHint,
  readTokens,
  tokenIds,
  tokensTuple,
} from "./tuples.ts";

export type { Parsed } from "./tuples.ts";

const NEUTRAL: Record<string, unknown> = NEUTRAL_SAMPLING;

export function encodeEdgeFrame(frame: EdgeFrame): string {
  if (frame.type === "hint") return JSON.stringify(hintTuple(frame));
  return JSON.stringify(frame.type === "open" ? openObject(frame) : frame);
}

export function encodeVerifierFrame(frame: VerifierFrame): string {
  const isPlain = frame.type === "tokens" && !frame.logprobs;
  return JSON.stringify(isPlain ? tokensTuple(frame) : frame);
}

/** Parses one text message; the message of a refusal names the field. */
export const parseEdgeFrame = (text: string): Parsed<EdgeFrame> => parse(text, edgeFrame, readHint);
export const parseVerifierFrame = (text: string): Parsed<VerifierFrame> =>
  parse(text, verifierFrame, readTokens);

function parse<T>(
  text: string,
  schema: z.ZodType<T>,
  ofTuple: (tuple: readonly unknown[]) => Parsed<T>,
): Parsed<T> {
  if (text.length > MAX_FRAME_BYTES)
    return { ok: false, message: `frame of ${text.length} bytes is over ${MAX_FRAME_BYTES}` };
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return { ok: false, message: "frame is not JSON" };
  }
  if (Array.isArray(json)) return ofTuple(json);
  const misread = unpackOpen(json);
  if (misread) return misread;
  const result = schema.safeParse(json);
  if (result.success) return { ok: true, frame: result.data };
  const issue = result.error.issues[0];
  return fault(issue?.path.join(".") || "(root)", issue?.message ?? "invalid");
}

/** Smallest number of ids by the list of an `open` that is packed. */
const PACKED_LISTS = { prompt: 1, confirmed: 0 } as const;

function openObject(frame: OpenFrame): Record<string, unknown> {
  const { prompt, confirmed, sampling } = frame;
  const packed = { ...frame, prompt: packIds(prompt), sampling: withoutNeutral(sampling) };
  return confirmed ? { ...packed, confirmed: packIds(confirmed) } : packed;
}

/** Puts arrays in the place of an `open`'s packed lists; the schema sees to the rest. */
function unpackOpen(json: unknown): Fault | undefined {
  if (typeof json !== "object" || json === null) return;
  const open = json as Record<string, unknown>;
  if (open.type !== "open") return;
  for (const [name, least] of Object.entries(PACKED_LISTS)) {
    if (typeof open[name] !== "string") continue;
    const ids = readIds(open[name], least, MAX_PROMPT_IDS);
    if (!ids) return fault(name, tokenIds(least, MAX_PROMPT_IDS));
    open[name] = ids;
  }
  return;
}

/** A setting that changes nothing need not travel. */
function withoutNeutral(sampling: Sampling): Partial<Sampling> {
  const entries = Object.entries(sampling).filter(([name, value]) => {
    const neutral = NEUTRAL[name];
    return Array.isArray(neutral) ? (value as unknown[]).length > 0 : value !== neutral;
  });
  return Object.fromEntries(entries);
}
