/**
 * Frames as text. Hints and confirmed ids, which are nearly all of the traffic, travel as tuples:
 *
 *     ["h", stream, path, at, ids, source, branches]     a hint; source "m" where left out; branches: [[at, ids], …]
 *     ["t", stream, at, ids, accepted, source]           confirmed ids; accepted 0 and no source where left out
 *
 * Sources by letter. Everything else, and confirmed ids with logprobs, is an object that names its fields; a reader
 * takes either form of either frame.
 */
import type { z } from "zod";
import {
  type EdgeFrame,
  edgeFrame,
  MAX_FRAME_BYTES,
  NEUTRAL_SAMPLING,
  type Sampling,
  type VerifierFrame,
  verifierFrame,
} from "./frames.ts";
import { fault, hintTuple, type Parsed, readHint, readTokens, tokensTuple } from "./tuples.ts";

export type { Parsed } from "./tuples.ts";

const NEUTRAL: Record<string, unknown> = NEUTRAL_SAMPLING;

export function encodeEdgeFrame(frame: EdgeFrame): string {
  if (frame.type === "hint") return JSON.stringify(hintTuple(frame));
  if (frame.type !== "open") return JSON.stringify(frame);
  return JSON.stringify({ ...frame, sampling: withoutNeutral(frame.sampling) });
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
  const result = schema.safeParse(json);
  if (result.success) return { ok: true, frame: result.data };
  const issue = result.error.issues[0];
  return fault(issue?.path.join(".") || "(root)", issue?.message ?? "invalid");
}

/** A setting that changes nothing need not travel. */
function withoutNeutral(sampling: Sampling): Partial<Sampling> {
  const entries = Object.entries(sampling).filter(([name, value]) => {
    const neutral = NEUTRAL[name];
    return Array.isArray(neutral) ? (value as unknown[]).length > 0 : value !== neutral;
  });
  return Object.fromEntries(entries);
}
