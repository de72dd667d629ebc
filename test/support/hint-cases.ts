/**
 * Random hints and texts over a few ids, so that paths are often followed, refused and overtaken; after each event what
 * is foretold. Two implementations hold to it: the scheduler's own and the one in the vLLM plugin.
 */
import type { HintedBranch, HintSource } from "../../gpu-service/protocol/frames.ts";
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
  /** Where they lie in the text they mostly agree with it. */
  const idsFrom = (at: number) => [...(below(3) > 0 ? text.slice(at) : []), ...ids()];
  /** Of the newest path, as they were hinted, so that some go on. */
  let branches: HintedBranch[] = [];
  const growth = ({ at, from = 0, ids: known }: HintedBranch): HintedBranch => {
    const gap = below(8) > 0 ? 0 : 1;
    return { at, from: from + known.length + gap, ids: ids() };
  };
  const branchFrom = (at: number): HintedBranch => ({ at, ids: idsFrom(at) });
  const events = Array.from({ length: 24 }, (): Event => {
    const foretold = () => {
      const found = store.next(text.length, LOOKED_AHEAD);
      return (found?.ids ?? []).map((id, k): [number, HintSource] => [id, found!.sources[k]!]);
    };
    if (below(2) === 0) {
      const before = path;
      if (below(3) === 0) path = Math.max(0, path + below(4) - 1);
      if (path > before) branches = [];
      const at = Math.max(0, text.length - 2 + below(5));
      const more = Array.from({ length: below(3) }, (): HintedBranch => {
        const known = branches.at(-1 - below(2));
        return known && below(4) > 0 ? growth(known) : branchFrom(at + below(3));
      });
      branches = [...branches, ...more];
      const hint = {
        path,
        at,
        ids: idsFrom(at),
        source: below(2) ? "model" : "lookup",
        branches: more,
      } as const;
      store.add(hint, text);
      return { hint, next: foretold() };
    }
    // As a rule the text goes the way that is foretold, or along a branch.
    const way = below(4);
    const branch = branches.findLast(({ at, from = 0 }) => at + from === text.length);
    const foretoldId = way < 1 ? store.next(text.length, 1)?.ids[0] : way < 3 ? branch?.ids[0] : undefined;
    const id = foretoldId ?? below(IDS);
    store.advance(text.length, id);
    text.push(id);
    return { id, next: foretold() };
  });
  return { prompt, events };
}
