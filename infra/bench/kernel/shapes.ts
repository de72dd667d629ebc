/** The draft models that the kernel is measured on. `default`: four layers of the default target, a head of 8,192 rows. */
import type { Head, Shape } from "../../../edge/drafting/model/shape.ts";

export type BenchShape = {
  readonly name: string;
  readonly bits: 4 | 8;
  readonly shape: Shape;
  readonly head: Head;
  readonly poolPositions: number;
};

const AMD_135M: Shape = {
  layers: 12,
  hidden: 768,
  heads: 12,
  kv_heads: 12,
  head_dim: 64,
  ffn: 2048,
  vocab: 32000,
  context: 2048,
};
const SMALL: Shape = { ...AMD_135M, layers: 6, hidden: 256, heads: 4, kv_heads: 4, ffn: 704 };
const DEFAULT: Shape = {
  layers: 4,
  hidden: 576,
  heads: 9,
  kv_heads: 3,
  head_dim: 64,
  ffn: 1536,
  vocab: 49152,
  context: 2048,
};

const tied = (shape: Shape): Head => ({ rows: shape.vocab, tied: true, short: false });
const entry = (
  name: string,
  bits: 4 | 8,
  shape: Shape,
  head = tied(shape),
  poolPositions = 512,
): BenchShape => ({
  name,
  bits,
  shape,
  head,
  poolPositions,
});

const SHORT: Head = { rows: 8192, tied: true, short: true };
export const BENCH_SHAPES: readonly BenchShape[] = [
  entry("default", 8, DEFAULT, SHORT, 2048),
  entry("default", 4, DEFAULT, SHORT, 2048),
  entry("amd135m", 4, AMD_135M, { rows: 32000, tied: false, short: false }),
  entry("d13m_v32k", 8, SMALL),
  entry("d7m_v8k", 8, { ...SMALL, vocab: 8192 }),
  entry("d7m_v8k", 4, { ...SMALL, vocab: 8192 }),
  entry("d3m_v8k", 8, { ...SMALL, layers: 4, hidden: 192, heads: 3, kv_heads: 3, ffn: 512, vocab: 8192 }),
];
