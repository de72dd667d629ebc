/**
 * Which way to a replica: over a link of the request's own, or over the shared one.
 *
 * An object cannot be pinned to a data centre, so that the shared way may be the longer one. The round trips decide
 * that the verifier measured over either, `seen` after `opened`: a local clock stands still during CPU work, and knows
 * nothing of the part behind the object. A small share of requests goes the other way, to find out.
 */
import type { DoneFrame } from "../../gpu-service/protocol/frames.ts";
import type { VerifierLink } from "./link.ts";

export type Way = "own" | "shared";

/** Round trips before the first frame can leave: TCP, TLS, the upgrade. */
const HANDSHAKE_TRIPS = 3;
/** Round trips that a completion waits for later: its first token, and fresh hints after a refusal. */
const LATER_TRIPS = 8;
/** What the object's hop must save to be worth its CPU. */
const LEAST_GAIN_MS = 5;
const SMOOTHING = 1 / 8;
const EXPLORED_SHARE = 1 / 32;
/** As long as there are fewer measurements of a way than this, a quarter of the requests takes it. */
const ENOUGH_TRIPS = 3;
const UNKNOWN_SHARE = 1 / 4;
/** After failures in a row: so many requests go their own way before the shared one is tried again, at most. */
const MAX_DETOUR = 64;

/** `ms`: smoothed; as long as `count` is 0, only what it is at least. */
type Trips = { count: number; ms: number };
type Known = Record<Way, Trips> & { failures: number; detour: number };

export class Broker {
  readonly #random: () => number;
  readonly #replicas = new Map<string, Known>();

  /** `random`: 0 ≤ x < 1. */
  constructor(random: () => number) {
    this.#random = random;
  }

  choose(replica: string): Way {
    const known = this.#known(replica);
    if (known.detour > 0) {
      known.detour--;
      return "own";
    }
    const better = betterWay(known);
    const other = better === "own" ? "shared" : "own";
    const share = known[other].count < ENOUGH_TRIPS ? UNKNOWN_SHARE : EXPLORED_SHARE;
    return this.#random() < share ? other : better;
  }

  /** The same link, of which the broker learns. */
  watch(link: VerifierLink, way: Way): VerifierLink {
    const known = this.#known(link.name);
    return {
      name: link.name,
      async open(request, sink) {
        try {
          return await link.open(request, (event) => {
            if (event.type === "done") note(known[way], event.timings);
            if (way === "shared") noteEnd(known, event.type);
            sink(event);
          });
        } catch (error) {
          if (way === "shared") noteEnd(known, "broken");
          throw error;
        }
      },
    };
  }

  #known(replica: string): Known {
    let known = this.#replicas.get(replica);
    if (!known) {
      known = { own: { count: 0, ms: 0 }, shared: { count: 0, ms: 0 }, failures: 0, detour: 0 };
      this.#replicas.set(replica, known);
    }
    return known;
  }
}

/** Shared until its round trips turn out to cost more than the handshakes that it saves. */
function betterWay({ own, shared }: Known): Way {
  if (own.count === 0) return "shared";
  const saved = (HANDSHAKE_TRIPS + LATER_TRIPS) * own.ms - LATER_TRIPS * shared.ms;
  return saved > LEAST_GAIN_MS ? "shared" : "own";
}

function note(trips: Trips, { trip_ms, trip_over_ms = 0 }: DoneFrame["timings"]): void {
  if (trip_ms !== undefined) {
    trips.ms = trips.count === 0 ? trip_ms : smoothed(trips.ms, trip_ms);
    trips.count++;
    return;
  }
  // The text ended first. That the trip is longer than it was says something only where that is news.
  if (trip_over_ms > trips.ms) trips.ms = trips.count === 0 ? trip_over_ms : smoothed(trips.ms, trip_over_ms);
}

const smoothed = (known: number, ms: number): number => known + SMOOTHING * (ms - known);

function noteEnd(known: Known, event: string): void {
  if (event === "opened") known.failures = 0;
  if (event !== "broken") return;
  known.failures++;
  known.detour = Math.min(MAX_DETOUR, 2 ** known.failures);
}
