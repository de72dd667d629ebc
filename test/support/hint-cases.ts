/**
 * Random hints and texts over a few ids, so that paths are often followed, refused and overtaken; after each event what
 * is foretold. Two implementations hold to it: the scheduler's own and the one in the vLLM plugin.
 */
import type { HintSource } from "../../gpu-service/protocol/frames.ts";
import { mix32 } from "../../gpu-service/protocol/noise.ts";
import { type Hint, HintStore } from "../../gpu-service/verify/scheduler/hints.ts";

export type HintCase = { prompt: number[]; events: Event[] };
/** A hint comes in, or the text goes on with an id; then so much is foretold: ids and their sources. */
type Event = { hint?: Hint; id?: number; next: [number, HintSource][] };

const IDS = 3;
const LOOKED_AHEAD = 12;

export function hintCases(): HintCase[] {
  return Array.from({ length: 40 }, (_, n) => makeCase(n));
}

function makeCase(n: number): HintCase {
  let state = n * 7919;
  const below = (most: number) => {
    state = mix32(state + 0x6d2b79f5);
    return state % most;
  };
  const ids = () => Array.from({ length: 1 + below(6) }, () => below(IDS));
  const prompt = [0, 1, 2];
  const text = [...prompt];
  const store = new HintStore();
  let path = 0;
  const events = Array.from({ length: 24 }, (): Event => {
    const foretold = () => {
      const found = store.next(text.length, LOOKED_AHEAD);
      return (found?.ids ?? []).map((id, k): [number, HintSource] => [id, found!.sources[k]!]);
    };
    if (below(2) === 0) {
      path = Math.max(0, path + below(4) - 1);
      const at = Math.max(0, text.length - 2 + below(5));
      const branches = Array.from({ length: below(3) }, () => ({ at: at + below(4), ids: ids() }));
      const hint = { path, at, ids: ids(), source: below(2) ? "model" : "lookup", branches } as const;
      store.add(hint, text);
      return { hint, next: foretold() };
    }
    // As a rule the text goes the way that is foretold.
    const id = below(4) > 0 ? (store.next(text.length, 1)?.ids[0] ?? below(IDS)) : below(IDS);
    store.advance(text.length, id);
    text.push(id);
    return { id, next: foretold() };
  });
  return { prompt, events };
}
