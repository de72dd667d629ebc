/** The numbers of the reference: rounding, quantising, the exponential, quantised matrices. */
import type { ImageHeader } from "./header.ts";

export const f32 = Math.fround;

/** Rounds to the nearest integer, ties to even. */
function nearest(x: number): number {
  const down = Math.floor(x);
  const tie = x - down === 0.5;
  return tie ? down + (down & 1) : Math.round(x);
}

/** e^x as in kernel/lanes.ts. */
export function referenceExp(x: number): number {
  const y = f32(f32(Math.max(-87, Math.min(88, x))) * f32(Math.LOG2E));
  const n = nearest(y);
  const f = f32(y - n);
  let p = f32(0.0013390863314270973);
  for (const c of [
    0.009676031768321991, 0.055503569543361664, 0.2402210682630539, 0.6931471824645996, 1.0000001192092896,
  ]) {
    p = f32(f32(p * f) + f32(c));
  }
  return p * 2 ** n;
}

export type Quantised = { readonly quants: number[]; readonly scale: number };

/** Integers −limit..limit and their common scale. */
export function quantise(values: ArrayLike<number>, limit: number): Quantised {
  let largest = 0;
  for (let i = 0; i < values.length; i++) largest = Math.max(largest, Math.abs(values[i]!));
  const factor = largest > 0 ? f32(limit / largest) : 0;
  return { quants: Array.from(values, (v) => nearest(f32(v * factor))), scale: f32(largest / limit) };
}

/** Sums of four interleaved lanes, added up in the kernel's order. */
export function sumOfLanes(values: ArrayLike<number>, lanes: number[] = [0, 0, 0, 0]): number {
  for (let i = 0; i < values.length; i++) lanes[i & 3] = f32(lanes[i & 3]! + values[i]!);
  return f32(f32(f32(lanes[0]! + lanes[1]!) + lanes[2]!) + lanes[3]!);
}

/** A quantised matrix: `quant(row, column)` without its zero point, and one scale per row and 32 columns. */
export class Matrix {
  readonly rows: number;
  readonly columns: number;
  readonly #view: DataView;
  readonly #four: boolean;
  readonly #cellBytes: number;

  constructor(image: Uint8Array, header: ImageHeader, name: string) {
    const tensor = header.tensors.get(name)!;
    this.rows = tensor.rows;
    this.columns = tensor.cols;
    this.#four = tensor.type === "int4";
    this.#cellBytes = this.#four ? 288 : 544;
    this.#view = new DataView(image.buffer, image.byteOffset + tensor.offset, tensor.bytes);
  }
  #cell(row: number, column: number): number {
    return ((row >> 4) * (this.columns / 32) + (column >> 5)) * this.#cellBytes;
  }
  quant(row: number, column: number): number {
    const j = column & 31;
    const byteColumn = this.#four ? j & 15 : j;
    const at = this.#cell(row, column) + (byteColumn >> 2) * 64 + (row & 15) * 4 + (byteColumn & 3);
    const byte = this.#view.getUint8(at);
    if (!this.#four) return byte - 64;
    return (j < 16 ? byte & 15 : byte >> 4) - 8;
  }
  scale(row: number, column: number): number {
    const bf16 = this.#view.getUint16(this.#cell(row, column) + this.#cellBytes - 32 + (row & 15) * 2, true);
    return new Float32Array(new Uint32Array([bf16 << 16]).buffer)[0]!;
  }
  /** One row as floats. */
  row(row: number): Float32Array {
    return Float32Array.from({ length: this.columns }, (_, c) => this.quant(row, c) * this.scale(row, c));
  }
  multiply(x: Float32Array): Float32Array {
    const groups = Array.from({ length: this.columns / 32 }, (_, g) =>
      quantise(x.subarray(g * 32, g * 32 + 32), 127),
    );
    return Float32Array.from({ length: this.rows }, (_, row) => {
      let total = 0;
      groups.forEach(({ quants, scale }, g) => {
        let sum = 0;
        for (let j = 0; j < 32; j++) sum += this.quant(row, g * 32 + j) * quants[j]!;
        total = f32(total + f32(sum * f32(this.scale(row, g * 32) * scale)));
      });
      return total;
    });
  }
}
