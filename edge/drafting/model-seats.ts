/** How many requests of an isolate the draft model drafts for at once; others go without it. */
import type { Sampling } from "../../gpu-service/protocol/frames.ts";
import type { Release } from "../releases/loader.ts";
import { ModelSource } from "./model-source.ts";
import type { DraftSource } from "./source.ts";

export const SEATS = 8;
/** A seat unused for so long belongs to a request that ended without a word: the runtime may drop one in mid-air. */
const IDLE_MS = 60_000;

type Seat = { source: ModelSource; used: number };
const taken = new Set<Seat>();

/** A model source on a seat of its own until it is closed; undefined where none is free. */
export function seatedModel(
  { engine }: Release,
  { temperature, seed }: Sampling,
  tenant: string,
): DraftSource | undefined {
  for (const seat of taken) if (Date.now() - seat.used > IDLE_MS) leave(seat);
  if (taken.size >= SEATS) return undefined;
  const source = new ModelSource(engine, { temperature, seed: BigInt(seed) }, tenant);
  const seat = { source, used: Date.now() };
  taken.add(seat);
  return {
    name: source.name,
    prepare: (text) => source.prepare(text),
    next(text) {
      seat.used = Date.now();
      return source.next(text);
    },
    close: () => leave(seat),
  };
}

function leave(seat: Seat): void {
  if (taken.delete(seat)) seat.source.close();
}
