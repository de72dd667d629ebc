/**
 * Reads the verifier's frames. The commonest one, confirmed ids without logprobs, is checked by hand: a Worker may not
 * compile code, so zod walks its schemas there, which took half of the CPU that a token costs the edge. Whatever is
 * not exactly that frame goes through the schema.
 */
import {
  HINT_SOURCES,
  type HintSource,
  MAX_FRAME_BYTES,
  MAX_HINT_IDS,
  type Parsed,
  parseVerifierFrame,
  type TokensFrame,
  type VerifierFrame,
} from "../../gpu-service/protocol/frames.ts";

const MAX_UINT32 = 0xffff_ffff;
const MAX_TOKEN_ID = 0xff_ffff;
const SOURCES = new Set<unknown>(HINT_SOURCES);

export function readVerifierFrame(text: string): Parsed<VerifierFrame> {
  const frame = plainTokens(text);
  return frame ? { ok: true, frame } : parseVerifierFrame(text);
}

function plainTokens(text: string): TokensFrame | undefined {
  if (text.length > MAX_FRAME_BYTES) return undefined;
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof json !== "object" || json === null) return undefined;
  const { type, stream, at, ids, accepted, source, logprobs } = json as Record<string, unknown>;
  if (type !== "tokens" || logprobs !== undefined) return undefined;
  if (!isInteger(stream, 1, MAX_UINT32) || !isInteger(at, 0, MAX_UINT32)) return undefined;
  if (!isInteger(accepted, 0, MAX_HINT_IDS) || !isTokenIds(ids)) return undefined;
  if (source === undefined) return { type, stream, at, ids, accepted };
  return SOURCES.has(source) ? { type, stream, at, ids, accepted, source: source as HintSource } : undefined;
}

const isInteger = (value: unknown, least: number, most: number): value is number =>
  Number.isInteger(value) && (value as number) >= least && (value as number) <= most;

function isTokenIds(value: unknown): value is number[] {
  if (!Array.isArray(value) || value.length < 1 || value.length > MAX_HINT_IDS + 1) return false;
  return value.every((id) => isInteger(id, 0, MAX_TOKEN_ID));
}
