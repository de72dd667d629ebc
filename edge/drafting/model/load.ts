/** Streams an image into linear memory and makes an engine of it. Nothing of it is used before its digest matched. */

import type { Hasher } from "./digest.ts";
import { DEFAULT_OPTIONS, DraftEngine, type EngineOptions, type NoMemory } from "./engine.ts";
import { parseImage } from "./image.ts";
import { checkContent, type ImageError } from "./image-checks.ts";
import type { DraftMemory, Region } from "./memory.ts";

export type LoadError =
  | ImageError
  | NoMemory
  | { readonly code: "digest_mismatch" | "read_failed" | "superseded"; readonly message: string };
export type LoadResult = { ok: true; engine: DraftEngine } | { ok: false; error: LoadError };
/** What a signed manifest says of the file. `sha256`: lower-case hexadecimal. */
export type ImageFile = { readonly bytes: number; readonly sha256: string };

const SUPERSEDED: LoadError = { code: "superseded", message: "a newer load took its memory" };

/** Small reads cost more than the copy: workerd's default reader gives 4 KiB at a time. */
const STAGING_BYTES = 1 << 20;

/** The region that a load is filling, by memory. */
const filling = new WeakMap<DraftMemory, Region>();

/**
 * `newHasher`: digestStreamHasher in workerd, one over node:crypto in Node. On failure no memory stays taken.
 *
 * One load at a time in a memory. A newer one takes the memory of an older one that is under way, which then fails
 * with `superseded`: a load whose request the runtime ended never settles and would hold its region for ever.
 */
export async function loadDraft(
  memory: DraftMemory,
  stream: ReadableStream<Uint8Array>,
  file: ImageFile,
  newHasher: () => Hasher,
  options: Partial<EngineOptions> = {},
): Promise<LoadResult> {
  const older = filling.get(memory);
  if (older) memory.give(older);
  filling.delete(memory);
  const region = memory.take(file.bytes);
  if (!region) {
    await stream.cancel();
    return {
      ok: false,
      error: { code: "no_memory", message: `an image of ${file.bytes} bytes does not fit` },
    };
  }
  filling.set(memory, region);
  const error = await fill(memory, region, stream, file, newHasher());
  if (!memory.holds(region)) return { ok: false, error: SUPERSEDED };
  filling.delete(memory);
  const parsed = error ? undefined : parseImage(memory.view(region.at, file.bytes));
  const fault =
    error ?? (parsed!.ok ? checkContent(parsed!.header, memory.view(region.at, file.bytes)) : parsed!.error);
  if (fault || !parsed?.ok) {
    memory.give(region);
    return { ok: false, error: fault! };
  }
  const engine = DraftEngine.create(memory, region, parsed.header, { ...DEFAULT_OPTIONS, ...options });
  return engine instanceof DraftEngine ? { ok: true, engine } : { ok: false, error: engine };
}

/** Copies the stream into the region, hashing on the way. Returns what went wrong, if anything. */
async function fill(
  memory: DraftMemory,
  region: Region,
  stream: ReadableStream<Uint8Array>,
  file: ImageFile,
  hasher: Hasher,
): Promise<LoadError | undefined> {
  let at = 0;
  try {
    for await (const chunk of chunks(stream, file.bytes)) {
      if (at + chunk.length > file.bytes)
        return { code: "oversized", message: `more than ${file.bytes} bytes came` };
      if (!memory.holds(region)) return SUPERSEDED;
      memory.view(region.at + at, chunk.length).set(chunk);
      at += chunk.length;
      await hasher.update(chunk);
    }
  } catch (cause) {
    return { code: "read_failed", message: `reading stopped after ${at} of ${file.bytes} bytes: ${cause}` };
  }
  if (at < file.bytes) return { code: "truncated", message: `${at} of ${file.bytes} bytes came` };
  const found = await hasher.hex();
  if (found !== file.sha256)
    return { code: "digest_mismatch", message: `sha256 ${found}, not ${file.sha256}` };
  return undefined;
}

/** The stream's bytes in pieces of up to a staging buffer, which the next piece overwrites. */
async function* chunks(stream: ReadableStream<Uint8Array>, bytes: number): AsyncGenerator<Uint8Array> {
  const reader = byobReader(stream);
  if (!reader) {
    yield* stream;
    return;
  }
  try {
    let staging = new ArrayBuffer(Math.min(STAGING_BYTES, bytes + 1));
    for (;;) {
      const { value, done } = await readPiece(reader, new Uint8Array(staging));
      if (value && value.length > 0) yield value;
      if (done || !value) return;
      staging = value.buffer as ArrayBuffer;
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

/** Fills the whole view where the platform can (workerd), or as much as is there. */
function readPiece(reader: ReadableStreamBYOBReader, view: Uint8Array<ArrayBuffer>) {
  return "readAtLeast" in reader
    ? reader.readAtLeast(view.length, view)
    : (reader as ReadableStreamBYOBReader).read(view);
}

/** A bring-your-own-buffer reader, if the stream is a byte stream. */
function byobReader(stream: ReadableStream<Uint8Array>): ReadableStreamBYOBReader | undefined {
  try {
    return stream.getReader({ mode: "byob" });
  } catch {
    return undefined;
  }
}
