/** Loads a target and refuses it unless it is exact here: the way from a folder to a model that may serve. */
import { type Costs, FREE } from "../../scheduler/cost.ts";
import type { TargetModel } from "../../scheduler/model.ts";
import { blockingWait, PacedTarget } from "../pace.ts";
import { measureCosts } from "./measure.ts";
import type { WorkerOptions } from "./messages.ts";
import { loadModel } from "./model.ts";
import { testExactness } from "./self-test.ts";
import { openTarget, type Target } from "./target.ts";

export type Loaded = {
  model: TargetModel;
  target: Target;
  /** Widths of the graphs that are loaded. */
  widths: number[];
  costs: Costs;
  /** By how many milliseconds the last step was longer than its pace; 0 without a pace. */
  overrunMs: () => number;
};

/** Throws an error that says what is wrong with the folder, the graphs or their arithmetic. */
export async function loadExactModel(
  options: WorkerOptions,
  runtimeVersion: string,
  measureRounds: number,
  now: () => number,
): Promise<Loaded> {
  const target = await openTarget(options.folder, options.format);
  const model = await loadModel(target, options);
  const test = await testExactness(model, model.widths);
  if (!test.ok)
    throw new Error(`self-test of ${target.id} in ${target.format}: ${test.message}; it cannot be lossless`);
  model.numerics = `${target.id}:${target.format}:${target.weights}:ort${runtimeVersion}:${test.fingerprint}`;
  const { widths } = model;
  if (options.pace) {
    const paced = new PacedTarget(model, options.pace, blockingWait(now));
    const costs = { points: options.pace.points, attention: FREE };
    return { model: paced, target, widths, costs, overrunMs: () => paced.overrunMs };
  }
  const costs = await measureCosts(model, widths, measureRounds, now);
  return { model, target, widths, costs, overrunMs: () => 0 };
}
