/** What a chain is asked for, what it remembers of itself, and the world that it acts on. */
import type { Job } from "../../gpu-service/protocol/jobs.ts";
import type { Arms } from "./verdict.ts";

export type ChainOrder = {
  id: string;
  target: string;
  recipe: string;
  /** By hand: however little new traffic there is. */
  forced: boolean;
};
export type ChainState = "counting" | "training" | "canary" | ChainEnd;
/** `skipped`: too little traffic. `kept`: what was current stays. `failed`: the chain itself could not go on. */
export type ChainEnd = "skipped" | "promoted" | "kept" | "failed";

/** What a chain remembers of itself, for people and for the next chain; times are ISO 8601. */
export type ChainFacts = {
  state?: ChainState;
  traffic_since?: string;
  traffic_until?: string;
  requests?: number;
  parent?: string | null;
  job?: string;
  release?: string;
  canary_since?: string;
  /** When the chain looks again by itself: one that sleeps on past it has lost its alarm. */
  wake_at?: string;
  note?: string;
};

export type ChainWorld = {
  /** Unix milliseconds. Asked inside of steps only. */
  now(): number;
  /** Where the traffic that no chain has learned from begins. */
  unlearned(target: string): Promise<string>;
  /** Captured requests. */
  countTraffic(since: string, until: string): Promise<number>;
  currentRelease(target: string): Promise<string | null>;
  postJob(wish: {
    recipe: string;
    idempotency_key: string;
    traffic: { since: string; until: string };
    parent: string | null;
  }): Promise<Job>;
  job(id: string): Promise<Job>;
  startCanary(target: string, release: string, share: number): Promise<void>;
  /** Throws where the release is no longer the canary. */
  promote(target: string, release: string): Promise<void>;
  /** Takes the release out of the canary's place, if it is there. */
  endCanary(target: string, release: string): Promise<void>;
  acceptance(target: string, releases: { candidate: string; baseline: string }, since: string): Promise<Arms>;
  /** Notes facts, and what was done under a name that is noted once. */
  record(chain: string, done: string, facts: ChainFacts): Promise<void>;
};

export type Steps = {
  /** Does the work unless it was done before; its result is kept. */
  do<T>(name: string, work: () => Promise<T>): Promise<T>;
  /** Until the chain is woken, for `ms` at most. */
  wait(name: string, ms: number): Promise<void>;
};
