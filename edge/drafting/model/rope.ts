/** The rotary table of a model, computed in f64 and rounded once: f32[positions][half] cosines, then as many sines. */
import type { Rope, RopeScaling } from "./header.ts";

export function ropeTable(rope: Rope, headDim: number, positions: number): Float32Array {
  const half = headDim / 2;
  const table = new Float32Array(positions * headDim);
  for (let i = 0; i < half; i++) {
    const frequency = scaled(rope.theta ** (-i / half), rope.scaling);
    for (let position = 0; position < positions; position++) {
      table[position * half + i] = Math.cos(position * frequency);
      table[positions * half + position * half + i] = Math.sin(position * frequency);
    }
  }
  return table;
}

/** Llama 3's scaling (as in transformers' `rope_type: llama3`): long waves slowed by `factor`, short ones kept. */
function scaled(frequency: number, scaling: RopeScaling | null): number {
  if (!scaling) return frequency;
  const { factor, low_freq_factor, high_freq_factor, original_context } = scaling;
  const turns = (original_context * frequency) / (2 * Math.PI);
  if (turns > high_freq_factor) return frequency;
  if (turns < low_freq_factor) return frequency / factor;
  const kept = (turns - low_freq_factor) / (high_freq_factor - low_freq_factor);
  return frequency * (kept + (1 - kept) / factor);
}
