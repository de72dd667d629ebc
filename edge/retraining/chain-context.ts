/** What every part of a chain works with. */
import type { ChainOrder, ChainWorld, Steps } from "./chain-types.ts";
import type { ChainSettings } from "./settings.ts";

export type ChainContext = {
  order: ChainOrder;
  settings: ChainSettings;
  steps: Steps;
  world: ChainWorld;
};

/** Of a wait in a chain's steps: a workflow may have so many, and no more. */
export const MAX_TURNS = 250;

/** Unix milliseconds as ISO 8601. */
export const iso = (time: number): string => new Date(time).toISOString();
