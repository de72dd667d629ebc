/** When hints go out, and what they weigh on the wire. */
import type { Hint } from "../link/link.ts";
import type { DraftedText } from "./drafted-text.ts";
import { type Branch, isUnsent } from "./foretold.ts";

/** A path's first ids go at once: the second can save a step. */
const FIRST_IDS = 2;
/** With so many ids at the verifier, the next ones can wait for more. */
const ENOUGH_IDS = 16;
const BATCH = 6;
/** The same where nothing more is drafted. */
const FEWEST_IDS = 4;
const LARGE_BATCH = 12;
/** A branch may be taken at any step: what it has grown by goes out sooner, and sooner still where nothing is drafted. */
const BRANCH_BATCH = 4;
const FEWEST_BRANCH_IDS = 2;
/** Bytes of a hint's frame with its header, of a branch, and of an id on average. */
const FRAME_BYTES = 20;
const BRANCH_BYTES = 6;
const ID_BYTES = 2.2;

/**
 * Whether what the verifier does not know yet should go out now. `isIdle`: nothing is being drafted; the rest can wait
 * while there is enough for the next step, because a frame weighs as much as nine ids.
 */
export function isDue({ hinted, unsent, branches }: DraftedText, isIdle: boolean): boolean {
  const known = hinted.length - unsent;
  if (branches.some((branch) => isUnsent(branch) && isBranchDue(branch, isIdle))) return true;
  const batch = known < FIRST_IDS ? FIRST_IDS - known : known < ENOUGH_IDS ? BATCH : LARGE_BATCH;
  return unsent >= batch || (isIdle && unsent >= (known < FIRST_IDS ? 1 : FEWEST_IDS));
}

const isBranchDue = ({ ids, sent }: Branch, isIdle: boolean): boolean =>
  ids.length - sent >= (isIdle ? FEWEST_BRANCH_IDS : BRANCH_BATCH);

export const bytesOf = ({ ids, branches = [] }: Hint): number =>
  branches.reduce(
    (sum, branch) => sum + BRANCH_BYTES + ID_BYTES * branch.ids.length,
    FRAME_BYTES + ID_BYTES * ids.length,
  );
