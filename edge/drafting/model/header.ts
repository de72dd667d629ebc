/** What the header of a draft image says, once it is checked. */
import type { Head, Shape, Tensor } from "./shape.ts";

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
