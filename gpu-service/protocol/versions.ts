/**
 * Versions of the link, and how two sides that were built at different times find one that both speak.
 *
 * During an upgrade one side is newer than the other. Each speaks its own newest version and may still speak the one
 * before. The edge offers its range with `open`; the verifier takes the highest that both speak and says so with
 * `opened`. An `open` is read before anything was agreed: its keys are only ever added to, and unknown ones ignored.
 */
import { type OpenFrame, PROTOCOL_VERSION } from "./frames.ts";

export type Versions = { oldest: number; newest: number };

/** What this code speaks. Version 1 was never released; the next one will be spoken beside this. */
export const SPOKEN: Versions = { oldest: PROTOCOL_VERSION, newest: PROTOCOL_VERSION };

/** `oldest_protocol` is left out where there is one version only. */
export type Offer = Pick<OpenFrame, "protocol" | "oldest_protocol">;

export const offerOf = ({ oldest, newest }: Versions = SPOKEN): Offer => ({
  protocol: newest,
  ...(oldest < newest && { oldest_protocol: oldest }),
});

/** The highest version that both speak; undefined: there is none. */
export function agreedVersion(
  { protocol: newest, oldest_protocol: oldest = newest }: Offer,
  spoken: Versions = SPOKEN,
): number | undefined {
  const highest = Math.min(newest, spoken.newest);
  return highest >= Math.max(oldest, spoken.oldest) ? highest : undefined;
}

/** For people: "1", or "1 to 2". */
export const namesOf = ({ oldest, newest }: Versions): string =>
  oldest === newest ? `${newest}` : `${oldest} to ${newest}`;
