/** The draft beside the target, by arithmetic: what a verifier with so many sequences gives that drafts for itself. */
import { BLOCKS } from "./asking.ts";
import type { Regime } from "./regime.ts";

/** Tokens per second of all sequences, with the best block length. */
export function besideTokS({ stepMs, draftMs }: Regime, sequences: number, alpha: number): number {
  const tokS = BLOCKS.map((block) => {
    const accepted = Array.from({ length: block }, (_, k) => alpha ** (k + 1)).reduce((sum, p) => sum + p, 0);
    const ms = sequences * block * draftMs + stepMs(sequences * (1 + block));
    return (sequences * (1 + accepted) * 1000) / ms;
  });
  return Math.max(...tokS);
}
