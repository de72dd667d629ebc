/** What the engine's two sides say to each other across the thread boundary. */
import type { Costs } from "../../scheduler/cost.ts";
import type { EngineInfo, EngineInput, EngineTurn } from "../engine.ts";
import type { Pace } from "../pace.ts";

export type WorkerOptions = {
  /** Folder of the target. */
  folder: string;
  format: string;
  slots: number;
  threads: number;
  context: number;
  retainedBytes: number;
  queueLimit: number;
  queueTimeoutMs: number;
  /** Steps take as long as this says: for benchmarks and tests only. */
  pace?: Pace | undefined;
};

/** `at`: when the input arrived, in milliseconds since the epoch: the two sides' own clocks begin at different times. */
export type ToWorker = { type: "input"; input: EngineInput; at: number } | { type: "close" };
export type FromWorker =
  | { type: "ready"; info: EngineInfo; costs: Costs; widths: number[]; loadMs: number }
  | ({ type: "turn" } & EngineTurn)
  | { type: "failed"; reason: string };
