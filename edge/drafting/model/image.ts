/**
 * Reads the header of a draft image (`model.draft`, docs/release-format.md). The file comes from outside: every field
 * is checked against the shape and the file's bounds before anything uses it, and each fault has its own error.
 */
import { z } from "zod";
import {
  type ExpectedTensor,
  expectedTensors,
  type Head,
  type Shape,
  type Tensor,
  tensorBytes,
} from "./shape.ts";

export type ImageErrorCode =
  | "truncated" // fewer bytes than the header says
  | "oversized" // more bytes than the header says
  | "not_an_image" // wrong magic number
  | "wrong_version"
  | "bad_header" // the fixed part or the JSON is malformed
  | "wrong_shape" // a shape that the kernel cannot run
  | "bad_tensor"; // a tensor is missing, misplaced or of the wrong size, or its content is not allowed
export type ImageError = { readonly code: ImageErrorCode; readonly message: string };

export type RopeScaling = {
  readonly type: "llama3";
  readonly factor: number;
  readonly low_freq_factor: number;
  readonly high_freq_factor: number;
  readonly original_context: number;
};
export type Rope = { readonly theta: number; readonly scaling: RopeScaling | null };
export type ImageHeader = {
  readonly fileBytes: number;
  readonly dataOffset: number;
  readonly shape: Shape;
  readonly normEps: number;
  readonly rope: Rope;
  readonly head: Head;
  readonly tensors: ReadonlyMap<string, Tensor>;
};
export type ImageResult = { ok: true; header: ImageHeader } | { ok: false; error: ImageError };

export const MAGIC = "OUTDRAFT";
export const FORMAT_VERSION = 1;
/** Bytes before the JSON. */
export const FIXED_BYTES = 32;
export const ALIGNMENT = 64;
const MAX_JSON_BYTES = 1 << 20;

const count = (most: number) => z.int().min(1).max(most);
const positive = z.number().positive();
const headerSchema = z.object({
  shape: z.object({
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
  rope: z.object({
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
  head: z.object({ rows: count(1 << 20), tied: z.boolean(), short: z.boolean() }),
  tensors: z
    .array(
      z.object({
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

class Fault extends Error {
  readonly code: ImageErrorCode;
  constructor(code: ImageErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}
function demand(condition: boolean, code: ImageErrorCode, message: string): asserts condition {
  if (!condition) throw new Fault(code, message);
}

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

function checkShape(s: Shape, head: Head): void {
  const need = (condition: boolean, message: string) => demand(condition, "wrong_shape", message);
  need([32, 64, 128].includes(s.head_dim), `head_dim ${s.head_dim}; the kernel knows 32, 64 and 128`);
  need(s.hidden % 32 === 0, `hidden ${s.hidden} is not a multiple of 32`);
  need(s.ffn % 32 === 0, `ffn ${s.ffn} is not a multiple of 32`);
  need(s.heads % s.kv_heads === 0, `${s.heads} heads cannot share ${s.kv_heads} KV heads evenly`);
  need(s.vocab >= 2 && head.rows >= 2, "a vocabulary and a head have at least two rows");
  need(head.rows <= s.vocab, `a head of ${head.rows} rows for ${s.vocab} ids`);
  need(
    head.short || head.rows === s.vocab,
    `a head of ${head.rows} rows for ${s.vocab} ids must be marked short`,
  );
}

function checkTensors(
  tensors: readonly Tensor[],
  expected: readonly ExpectedTensor[],
  dataOffset: number,
  fileBytes: number,
): ReadonlyMap<string, Tensor> {
  const need = (condition: boolean, message: string) => demand(condition, "bad_tensor", message);
  const byName = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  need(byName.size === tensors.length, "two tensors have the same name");
  need(tensors.length === expected.length, `${tensors.length} tensors; this shape has ${expected.length}`);
  for (const want of expected) {
    const tensor = byName.get(want.name);
    demand(tensor !== undefined, "bad_tensor", `tensor ${want.name} is missing`);
    const quantised = tensor.type === "int8" || tensor.type === "int4";
    need(
      want.type === "quantised" ? quantised : tensor.type === want.type,
      `tensor ${want.name} is ${tensor.type}`,
    );
    const sized = tensor.rows === want.rows && tensor.cols === want.cols;
    need(sized, `tensor ${want.name} is ${tensor.rows} × ${tensor.cols}, not ${want.rows} × ${want.cols}`);
    const bytes = tensorBytes(tensor.type, tensor.rows, tensor.cols);
    need(tensor.bytes === bytes, `tensor ${want.name} has ${tensor.bytes} bytes, not ${bytes}`);
    const placed = tensor.offset >= dataOffset && tensor.offset % ALIGNMENT === 0;
    need(placed, `tensor ${want.name} begins at ${tensor.offset}`);
    need(tensor.offset + bytes <= fileBytes, `tensor ${want.name} goes beyond the end of the file`);
  }
  const ordered = [...tensors].sort((a, b) => a.offset - b.offset);
  for (let i = 1; i < ordered.length; i++) {
    const [before, after] = [ordered[i - 1]!, ordered[i]!];
    need(before.offset + before.bytes <= after.offset, `tensors ${before.name} and ${after.name} overlap`);
  }
  return byName;
}

/**
 * Checks what only the content tells, once the digest matched: head ids ascend and are ids; int8 quants stay below
 * 128, since a relaxed dot product may read larger bytes either way. `image`: the whole file.
 */
export function checkContent(header: ImageHeader, image: Uint8Array): ImageError | undefined {
  const ids = header.tensors.get("head_ids");
  if (ids) {
    const view = new Uint32Array(image.buffer, image.byteOffset + ids.offset, header.head.rows);
    for (let row = 0; row < view.length; row++) {
      const ascends = row === 0 || view[row - 1]! < view[row]!;
      if (!ascends || view[row]! >= header.shape.vocab) {
        return {
          code: "bad_tensor",
          message: `head_ids must ascend below ${header.shape.vocab}: row ${row}`,
        };
      }
    }
  }
  for (const tensor of header.tensors.values()) {
    if (tensor.type === "int8" && !quantsBelow128(image, tensor)) {
      return { code: "bad_tensor", message: `tensor ${tensor.name} holds a quant above 127` };
    }
  }
  return undefined;
}

/** Word by word over the 512 quant bytes of each 544-byte cell. */
function quantsBelow128(image: Uint8Array, tensor: Tensor): boolean {
  const words = new Uint32Array(image.buffer, image.byteOffset + tensor.offset, tensor.bytes / 4);
  let seen = 0;
  for (let cell = 0; cell < words.length; cell += 136) {
    for (let i = cell; i < cell + 128; i++) seen |= words[i]!;
  }
  return (seen & 0x80808080) === 0;
}
