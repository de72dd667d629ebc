/** Rotary position embedding over pairs (i, i + headDim / 2), with the table that the host computed in f64. */
import { Model } from "./model";

/** Rotates `heads` consecutive heads at `at` for `position`. */
export function rotate(model: Model, at: usize, heads: i32, position: i32): void {
  const half = (<usize>model.headDim) << 1;
  const cosines = model.rope + <usize>position * half;
  const sines = cosines + <usize>model.positions * half;
  for (let head = at, end = at + <usize>heads * 2 * half; head < end; head += 2 * half) {
    for (let i: usize = 0; i < half; i += 16) {
      const a = v128.load(head + i);
      const b = v128.load(head + half + i);
      const cosine = v128.load(cosines + i);
      const sine = v128.load(sines + i);
      v128.store(head + i, f32x4.sub(f32x4.mul(a, cosine), f32x4.mul(b, sine)));
      v128.store(head + half + i, f32x4.add(f32x4.mul(b, cosine), f32x4.mul(a, sine)));
    }
  }
}
