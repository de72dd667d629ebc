/** Loads a target and refuses it unless it is exact here: the way from a folder to a model that may serve. */
import type { CostPoint } from "../../scheduler/cost.ts";
import { measureCosts } from "./measure.ts";
import type { WorkerOptions } from "./messages.ts";
import { loadModel, type OnnxModel } from "./model.ts";
import { testExactness } from "./self-test.ts";
import { openTarget, type Target } from "./target.ts";

export type Loaded = { model: OnnxModel; target: Target; costs: CostPoint[] };

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
  const costs = await measureCosts(model, model.widths, measureRounds, now);
  return { model, target, costs };
}
