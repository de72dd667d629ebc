/** When hints go out, and what they weigh on the wire. */
import type { Hint } from "../link/link.ts";
import { type DraftedText, isUnsent } from "./drafted-text.ts";

/** A path's first ids go at once: the second can save a step. */
const FIRST_IDS = 2;
/** With so many ids at the verifier, the next ones can wait for more. */
const ENOUGH_IDS = 16;
const BATCH = 4;
const LARGE_BATCH = 12;
/** Bytes of a hint's frame with its header, of a branch and of an id. */
const FRAME_BYTES = 24;
const BRANCH_BYTES = 10;
const ID_BYTES = 3;

/** Whether what the verifier does not know yet should go out now. `isIdle`: nothing is being drafted. */
export function isDue({ hinted, unsent, branches }: DraftedText, isIdle: boolean): boolean {
  const known = hinted.length - unsent;
  // What a branch has is sent again with what it grew by: each time it has doubled, or when nothing more is drafted.
  if (branches.some((one) => isUnsent(one) && (isIdle || one.ids.length >= 2 * Math.max(2, one.sent))))
    return true;
  const batch = known < FIRST_IDS ? FIRST_IDS - known : known < ENOUGH_IDS ? BATCH : LARGE_BATCH;
  return unsent >= batch || (isIdle && unsent > 0 && known < ENOUGH_IDS);
}

export const bytesOf = ({ ids, branches = [] }: Hint): number =>
  branches.reduce(
    (sum, branch) => sum + BRANCH_BYTES + ID_BYTES * branch.ids.length,
    FRAME_BYTES + ID_BYTES * ids.length,
  );
