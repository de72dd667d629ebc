/** Drafts of a small random model that every build and every runtime must give: test/cases/draft-kernel.json. */
import type { DraftEngine } from "../../edge/drafting/model/index.ts";
import { type ImagePlan, randomImage, SMALL } from "./draft-image.ts";

const PLAN: ImagePlan = {
  shape: { ...SMALL, vocab: 1000 },
  head: { rows: 500, tied: true, short: true },
  type: (name) => (name === "embedding" || name.endsWith("down") ? "int4" : "int8"),
  seed: 5,
};
export const goldenImage = (): Uint8Array => randomImage(PLAN);

export type GoldenDrafts = {
  /** Ids drafted after a prompt of 75 ids, at temperature 0 and 1. */
  greedy: number[];
  sampled: number[];
  /** FNV-1a over the bytes of the logits after the prompt. */
  logitsHash: number;
};

export async function draftGolden(engine: DraftEngine): Promise<GoldenDrafts> {
  const sequence = engine.open();
  sequence.extend(Array.from({ length: 75 }, (_, i) => (i * 7919 + 13) % 1000));
  const [first] = (await sequence.draft(1, { temperature: 0, seed: 0n })).tokens;
  const logitsHash = fnv1a(engine.logits());
  const rest = (await sequence.draft(11, { temperature: 0, seed: 0n })).tokens;
  sequence.rewind(75);
  const sampled = (await sequence.draft(12, { temperature: 1, seed: 0x123456789abcdefn })).tokens;
  sequence.close();
  return { greedy: [first!, ...rest].map(({ id }) => id), sampled: sampled.map(({ id }) => id), logitsHash };
}

function fnv1a(values: Float32Array): number {
  let hash = 0x811c9dc5;
  for (const byte of new Uint8Array(values.buffer, values.byteOffset, values.byteLength)) {
    hash = Math.imul(hash ^ byte, 0x01000193);
  }
  return hash >>> 0;
}
