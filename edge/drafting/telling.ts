/** What is foretold, as hints. */
import { MAX_HINT_IDS } from "../../gpu-service/protocol/frames.ts";
import type { Hint } from "../link/link.ts";
import type { Branch, Foretold } from "./foretold.ts";

/** `hinted`: what stands on the main line from position `confirmed` on. */
type Line = { path: number; confirmed: number; hinted: readonly Foretold[] };

/** What `line` has from entry `first` on, a hint for each stretch of one source, and what `branches` have grown by. */
export function hintsOf(line: Line, first: number, branches: readonly Branch[]): Hint[] {
  const hints: Hint[] = [];
  for (let from = first; from < line.hinted.length; ) {
    const { source } = line.hinted[from]!;
    let to = from + 1;
    while (to - from < MAX_HINT_IDS && line.hinted[to]?.source === source) to++;
    hints.push({
      path: line.path,
      at: line.confirmed + from,
      ids: idsOf(line.hinted.slice(from, to)),
      source,
    });
    from = to;
  }
  for (const branch of branches) addTo(hints, line, branch);
  return hints;
}

/** A branch travels with a hint of its source, or with the id of the main line that it is an alternative to. */
function addTo(hints: Hint[], { path, confirmed, hinted }: Line, { at, ids, sent }: Branch): void {
  const { id, source } = hinted[at - confirmed]!;
  let hint = hints.find((one) => one.source === source);
  if (!hint) {
    hint = { path, at, ids: [id], source };
    hints.push(hint);
  }
  const grown = { at, ...(sent > 0 && { from: sent }), ids: idsOf(ids.slice(sent)) };
  hint.branches = [...(hint.branches ?? []), grown];
}

const idsOf = (foretold: readonly Foretold[]): number[] => foretold.map(({ id }) => id);
