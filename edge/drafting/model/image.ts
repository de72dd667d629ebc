/**
 * Reads the header of a draft image (`model.draft`, docs/release-format.md). The file comes from outside: every field
 * is checked against the shape and the file's bounds before anything uses it, and each fault has its own error.
 */
import { z } from "zod";
import type { ImageHeader } from "./header.ts";
import { ALIGNMENT, checkShape, checkTensors, demand, Fault, type ImageError } from "./image-checks.ts";
import { expectedTensors } from "./shape.ts";

export type ImageResult = { ok: true; header: ImageHeader } | { ok: false; error: ImageError };

export const MAGIC = "OUTDRAFT";
export const FORMAT_VERSION = 1;
/** Bytes before the JSON. */
export const FIXED_BYTES = 32;
const MAX_JSON_BYTES = 1 << 20;

const count = (most: number) => z.int().min(1).max(most);
const positive = z.number().positive();
const headerSchema = z.strictObject({
  shape: z.strictObject({
    layers: count(128),
    hidden: count(1 << 14),
    heads: count(256),
    kv_heads: count(256),
    head_dim: count(256),
    ffn: count(1 << 16),
    vocab: count(1 << 20),
    context: count(1 << 20),
  }),
  norm_eps: positive.max(0.1),
  rope: z.strictObject({
    theta: positive.max(1e9),
    scaling: z
      .object({
        type: z.literal("llama3"),
        factor: positive,
        low_freq_factor: positive,
        high_freq_factor: positive,
        original_context: count(1 << 20),
      })
      .refine((s) => s.low_freq_factor < s.high_freq_factor, "low_freq_factor must be below high_freq_factor")
      .nullable(),
  }),
  head: z.strictObject({ rows: count(1 << 20), tied: z.boolean(), short: z.boolean() }),
  tensors: z
    .array(
      z.strictObject({
        name: z.string().max(64),
        type: z.enum(["f32", "int8", "int4", "u32"]),
        rows: count(1 << 20),
        cols: count(1 << 20),
        offset: z.int().min(0),
        bytes: z.int().min(1),
      }),
    )
    .max(1024),
});

/** Parses the header of an image of `fileBytes` bytes, of which `bytes` holds the beginning (at least the header). */
export function parseImage(bytes: Uint8Array, fileBytes = bytes.length): ImageResult {
  try {
    return { ok: true, header: readHeader(bytes, fileBytes) };
  } catch (fault) {
    if (fault instanceof Fault) return { ok: false, error: { code: fault.code, message: fault.message } };
    throw fault;
  }
}

function readHeader(bytes: Uint8Array, fileBytes: number): ImageHeader {
  demand(
    bytes.length >= FIXED_BYTES,
    "truncated",
    `an image has at least ${FIXED_BYTES} bytes, this has ${bytes.length}`,
  );
  const magic = String.fromCharCode(...bytes.subarray(0, MAGIC.length));
  demand(magic === MAGIC, "not_an_image", `an image begins with ${MAGIC}`);
  const fixed = new DataView(bytes.buffer, bytes.byteOffset, FIXED_BYTES);
  const version = fixed.getUint32(8, true);
  demand(
    version === FORMAT_VERSION,
    "wrong_version",
    `format version ${version}; this reader knows ${FORMAT_VERSION}`,
  );
  demand(fixed.getBigUint64(24, true) === 0n, "bad_header", "bytes 24 to 31 are not zero");
  const jsonBytes = fixed.getUint32(12, true);
  const saidBytes = fixed.getUint32(16, true);
  const dataOffset = fixed.getUint32(20, true);
  demand(
    fileBytes >= saidBytes,
    "truncated",
    `the header says ${saidBytes} bytes, the file has ${fileBytes}`,
  );
  demand(
    fileBytes === saidBytes,
    "oversized",
    `the header says ${saidBytes} bytes, the file has ${fileBytes}`,
  );
  demand(
    jsonBytes <= MAX_JSON_BYTES,
    "bad_header",
    `header of ${jsonBytes} bytes; at most ${MAX_JSON_BYTES}`,
  );
  const fits =
    dataOffset % ALIGNMENT === 0 && dataOffset >= FIXED_BYTES + jsonBytes && dataOffset <= saidBytes;
  demand(fits, "bad_header", `data offset ${dataOffset} does not fit a header of ${jsonBytes} bytes`);
  demand(bytes.length >= FIXED_BYTES + jsonBytes, "truncated", "the file ends inside its header");

  const json = readJson(bytes.subarray(FIXED_BYTES, FIXED_BYTES + jsonBytes));
  const { shape, head } = json;
  checkShape(shape, head);
  const tensors = checkTensors(json.tensors, expectedTensors(shape, head), dataOffset, saidBytes);
  return { fileBytes: saidBytes, dataOffset, shape, normEps: json.norm_eps, rope: json.rope, head, tensors };
}

function readJson(bytes: Uint8Array): z.infer<typeof headerSchema> {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: false }).decode(bytes));
  } catch {
    throw new Fault("bad_header", "the header is not JSON");
  }
  const parsed = headerSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new Fault("bad_header", `header field ${issue?.path.join(".")}: ${issue?.message}`);
}
