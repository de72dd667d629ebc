/** What an image must fulfil beyond the form of its header: a shape that the kernel runs, tensors where they belong. */
import type { ImageHeader } from "./header.ts";
import { type ExpectedTensor, type Head, type Shape, type Tensor, tensorBytes } from "./shape.ts";

export type ImageErrorCode =
  | "truncated" // fewer bytes than the header says
  | "oversized" // more bytes than the header says
  | "not_an_image" // wrong magic number
  | "wrong_version"
  | "bad_header" // the fixed part or the JSON is malformed
  | "wrong_shape" // a shape that the kernel cannot run
  | "bad_tensor"; // a tensor is missing, misplaced or of the wrong size, or its content is not allowed
export type ImageError = { readonly code: ImageErrorCode; readonly message: string };

/** Every offset and address in memory is a multiple of this. */
export const ALIGNMENT = 64;

export class Fault extends Error {
  readonly code: ImageErrorCode;
  constructor(code: ImageErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}
export function demand(condition: boolean, code: ImageErrorCode, message: string): asserts condition {
  if (!condition) throw new Fault(code, message);
}

export function checkShape(s: Shape, head: Head): void {
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

export function checkTensors(
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
