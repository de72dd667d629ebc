/** The gated unit of a Llama MLP: gate ← up · gate / (1 + e^−gate), over `count` floats. */
import { exp } from "./lanes";

export function gate(gates: usize, ups: usize, count: i32): void {
  const one = f32x4.splat(1);
  for (let i: usize = 0, bytes = (<usize>count) << 2; i < bytes; i += 16) {
    const z = v128.load(gates + i);
    const silu = f32x4.div(z, f32x4.add(one, exp(f32x4.neg(z))));
    v128.store(gates + i, f32x4.mul(v128.load(ups + i), silu));
  }
}
