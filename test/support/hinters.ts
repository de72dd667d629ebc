/** Hints of three kinds for one completion, given its text without drafts. */
import { HINT_SOURCES } from "../../gpu-service/protocol/frames.ts";
import { mix32 } from "../../gpu-service/protocol/noise.ts";
import type { Hinter } from "./link-client.ts";

/** Always right: all that is left of the text, cut to what a hint may hold. */
export function honest(promptTokens: number, text: readonly number[]): Hinter {
  return (output) => {
    const ids = text.slice(output.length, output.length + 32);
    if (ids.length === 0) return [];
    return [{ path: 0, at: promptTokens + output.length, ids, source: "memory" }];
  };
}

/** All of the text, right, before the first step: what comes of it does not depend on when hints arrive. */
export function atOnce(promptTokens: number, text: readonly number[]): Hinter {
  return (output) => {
    if (output.length > 0) return [];
    const starts = Array.from({ length: Math.ceil(text.length / 32) }, (_, n) => n * 32);
    return starts.map((at) => ({
      ...{ path: 0, at: promptTokens + at, ids: text.slice(at, at + 32), source: "memory" as const },
    }));
  };
}

/** Anything: random ids, places, paths and sources. */
export function random(promptTokens: number, vocabSize: number, seed: number): Hinter {
  let state = seed;
  const below = (n: number) => {
    state = mix32(state + 0x6d2b79f5);
    return state % n;
  };
  const ids = () => Array.from({ length: 1 + below(16) }, () => below(vocabSize));
  return (output) =>
    Array.from({ length: below(3) }, () => ({
      path: below(1000),
      at: Math.max(0, promptTokens + output.length - 4 + below(8)),
      ids: ids(),
      source: HINT_SOURCES[below(HINT_SOURCES.length)]!,
      branches: [{ at: promptTokens + output.length + below(3), ids: ids() }],
    }));
}

/**
 * Meant to harm: right for a few ids so that rows are spent, then wrong; branches that begin right; the same
 * again under an old path; ids that the target does not know; positions far away.
 */
export function adversarial(promptTokens: number, vocabSize: number, text: readonly number[]): Hinter {
  let path = 10;
  return (output) => {
    const at = promptTokens + output.length;
    const right = text.slice(output.length, output.length + 3);
    const wrong = right.map((id) => (id + 1) % vocabSize);
    path++;
    const base = { source: "model" as const };
    return [
      {
        ...base,
        path,
        at,
        ids: [...right, ...wrong, 1, 2, 3],
        branches: [{ at, ids: [...wrong, ...right, 0] }],
      },
      { ...base, path, at, ids: [...right, 0], branches: [{ at, from: 2 * right.length + 1, ids: [0, 1] }] },
      { ...base, path: path - 5, at, ids: [0, ...right] },
      { ...base, path, at: at + 1, ids: [...wrong, 0] },
      { ...base, path, at: at + 2, ids: [0xff_ffff, 1] },
      { ...base, path, at: 0xffff_fff0, ids: [1, 2, 3] },
    ];
  };
}
