/** RMSNorm: out = x / √(mean(x²) + eps) · gain, over `count` floats (a multiple of 4). */
import { sumOfLanes } from "./lanes";

export function normalise(x: usize, gain: usize, count: i32, eps: f32, out: usize): void {
  const bytes = (<usize>count) << 2;
  let squares = f32x4.splat(0);
  for (let i: usize = 0; i < bytes; i += 16) {
    const v = v128.load(x + i);
    squares = f32x4.add(squares, f32x4.mul(v, v));
  }
  const factor = f32x4.splat(<f32>1 / sqrt<f32>(sumOfLanes(squares) / <f32>count + eps));
  for (let i: usize = 0; i < bytes; i += 16) {
    v128.store(out + i, f32x4.mul(f32x4.mul(v128.load(x + i), factor), v128.load(gain + i)));
  }
}

/** x += y, over `count` floats. */
export function add(x: usize, y: usize, count: i32): void {
  for (let i: usize = 0, bytes = (<usize>count) << 2; i < bytes; i += 16) {
    v128.store(x + i, f32x4.add(v128.load(x + i), v128.load(y + i)));
  }
}
