/** One completion in the engine: its text so far, its settings, its hints and what they were worth. */
import {
  type DoneFrame,
  type HintFrame,
  type HintSource,
  type LogprobEntry,
  MAX_HINT_IDS,
} from "../../protocol/frames.ts";
import { hasPenalties } from "../../protocol/sampling.ts";
import type { StartFrame } from "../engines/engine.ts";
import { Acceptance } from "./acceptance.ts";
import { Arrivals } from "./arrivals.ts";
import { HintStore } from "./hints.ts";
import type { Cache, Owner } from "./model.ts";

type CountsBySource = Partial<Record<HintSource, number[]>>;

export class Sequence {
  readonly stream: number;
  readonly start: StartFrame;
  readonly seed: bigint;
  /** Prompt and output ids; the next token stands at position text.length. */
  readonly text: number[];
  readonly hints = new HintStore();
  readonly acceptance: Acceptance;
  readonly arrivals = new Arrivals();
  /** Where the newest hint came from. */
  lastSource: HintSource = "model";
  /** How often each output id occurred; kept only where penalties need it. */
  readonly outputCounts = new Map<number, number>();
  /** With `prompt_logprobs`: what has been scored so far, null for the first id. */
  readonly promptLogprobs: (LogprobEntry | null)[] = [null];
  /** Output ids at most, the context's end included. */
  readonly cap: number;

  cache: Cache | undefined;
  /** Ids of the prompt that were in the cache from the beginning. */
  cachedTokens = 0;
  /** Milliseconds that hint rows and waits may still waste; undefined until the first step. */
  credit: number | undefined;
  steps = 0;
  readonly drafted: CountsBySource = {};
  readonly accepted: CountsBySource = {};
  queuedAt: number;
  admittedAt = 0;
  firstTokenAt = 0;
  readonly #stopIds: ReadonlySet<number>;
  readonly #countsOutput: boolean;

  constructor(start: StartFrame, context: number, prior: Acceptance, now: number) {
    this.stream = start.stream;
    this.start = start;
    this.seed = BigInt(start.sampling.seed);
    this.text = [...start.prompt];
    this.acceptance = new Acceptance(prior);
    this.cap = Math.min(start.max_tokens, context - start.prompt.length);
    this.queuedAt = now;
    this.#stopIds = new Set(start.stop_ids);
    this.#countsOutput = hasPenalties(start.sampling);
    for (const id of start.confirmed ?? []) this.#append(id);
  }

  get owner(): Owner {
    return { tenant: this.start.tenant, ids: this.text };
  }

  get outputTokens(): number {
    return this.text.length - this.start.prompt.length;
  }

  /** Ids of the text that are not in the cache; below zero while hint rows lie beyond the text. */
  get pendingIds(): number {
    return this.text.length - (this.cache?.length ?? 0);
  }

  /** Hinted ids that lead on from the text's end. */
  get hintsAtHand(): number {
    return this.hints.next(this.text.length, MAX_HINT_IDS)?.ids.length ?? 0;
  }

  /** Whether prompt ids are still to be scored. */
  get isScoring(): boolean {
    return this.start.prompt_logprobs !== undefined && this.promptLogprobs.length < this.start.prompt.length;
  }

  /** Why the text ends here, if it does. Looked at after each token: the earliest end wins, inside a block too. */
  get finish(): "stop" | "length" | undefined {
    if (this.outputTokens > 0 && this.#stopIds.has(this.text[this.text.length - 1]!)) return "stop";
    return this.outputTokens >= this.cap ? "length" : undefined;
  }

  /** A hint came in at `at`, on the scheduler's clock; `isWaited`: the engine waited for it. */
  takeHint(hint: HintFrame, at: number, isWaited: boolean): void {
    this.lastSource = hint.source;
    if (hint.path < this.hints.path) return;
    const before = this.hintsAtHand;
    this.hints.add(hint, this.text);
    const have = this.hintsAtHand;
    const { isAstray, refusedAt } = this.hints;
    const frame = { path: hint.path, from: hint.at, have, gained: have - before, isWaited };
    this.arrivals.hinted(isAstray ? { ...frame, refusedAt } : frame, at);
  }

  /** A step has brought tokens, which the edge is told of at `now`. */
  settled(now: number): void {
    this.arrivals.committed(this.text.length, now, this.hintsAtHand > 0, this.hints.isAstray);
  }

  /** The text goes on with `id`. */
  commit(id: number): void {
    this.hints.advance(this.text.length, id);
    this.#append(id);
  }

  /** A hint row ran at `place` of its block (0: the first after the committed text). */
  count(source: HintSource, place: number, accepted: boolean): void {
    this.drafted[source] = addAt(this.drafted[source] ?? [], place, 1);
    this.accepted[source] = addAt(this.accepted[source] ?? [], place, accepted ? 1 : 0);
  }

  done(reason: DoneFrame["reason"], now: number): DoneFrame {
    const admitted = this.admittedAt || now;
    const first = this.firstTokenAt || now;
    const timings = {
      queued_ms: admitted - this.queuedAt,
      prefill_ms: first - admitted,
      decode_ms: now - first,
    };
    const counts = { steps: this.steps, drafted: this.drafted, accepted: this.accepted };
    return { type: "done", stream: this.stream, reason, counts, timings };
  }

  #append(id: number): void {
    this.text.push(id);
    if (this.#countsOutput) this.outputCounts.set(id, (this.outputCounts.get(id) ?? 0) + 1);
  }
}

/** Adds to the count at `place`; places before it that have none yet are 0. */
function addAt(counts: number[], place: number, n: number): number[] {
  while (counts.length <= place) counts.push(0);
  counts[place] = counts[place]! + n;
  return counts;
}
