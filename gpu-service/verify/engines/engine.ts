/**
 * What the link asks of an engine: the frames themselves. `start`, `hint` and `cancel` go in, verifier
 * frames come out, so an engine may live in a worker thread, a process or a cluster.
 * `stream` is unique across the engine here; the link maps it to a socket's own numbers.
 */
import type { CancelFrame, HintFrame, OpenFrame, VerifierFrame } from "../../protocol/frames.ts";

/** An `open` whose version, target, tokenizer and token the link has checked. */
export type StartFrame = Omit<OpenFrame, "type" | "protocol" | "target" | "tokenizer" | "token"> & {
  type: "start";
};
export type EngineInput = StartFrame | HintFrame | CancelFrame;

export type EngineInfo = {
  /** The target's id. */
  target: string;
  /** sha256 (hex) of the target's tokenizer.json. */
  tokenizer: string;
  /** What bit-equality holds within: target, weights, engine and version, kernels. */
  numerics: string;
  vocabSize: number;
  /** Most positions that a sequence may have. */
  context: number;
};

/** One step, for metrics and logs. Times in milliseconds. */
export type StepReport = {
  ms: number;
  samplingMs: number;
  slots: number;
  rows: number;
  tokens: number;
  /** Hint rows run and accepted, by source. */
  drafted: Readonly<Record<string, number>>;
  accepted: Readonly<Record<string, number>>;
};

/** Sequences that run, and those that wait for a slot. */
export type EngineLoad = { active: number; queued: number };

/** What one turn of the engine brought about: frames in order, a report if a step ran, how busy it is after it. */
export type EngineTurn = {
  frames: VerifierFrame[];
  report: StepReport | undefined;
  load: EngineLoad;
  /** Of a paced engine: by how many milliseconds the step was longer than its pace. */
  overrunMs: number;
};

export type EngineListener = {
  turn(turn: EngineTurn): void;
  /** The engine is lost; no further frame will come. */
  failed(reason: string): void;
};

export interface Engine {
  readonly info: EngineInfo;
  send(input: EngineInput): void;
  close(): Promise<void>;
}
