/** From the last hidden state to a token: logits, the draw, and how sure the draft is of it. */
import { quantise } from "./activations";
import { best, findBestTwo, findNoisyBestTwo, idOf, logitOf, second } from "./best-two";
import { exp, sumOfLanes } from "./lanes";
import { Model } from "./model";
import { setPosition } from "./noise";
import { normalise } from "./norm";
import { multiply } from "./products";

/** Logits of the pass's token number `token`, one per row of the head; padding rows get −∞. */
export function computeLogits(model: Model, token: i32): void {
  const head = model.head;
  normalise(model.residualRow(token), model.finalNorm, model.hidden, model.normEps, model.narrow);
  quantise(model.narrow, model.hidden, head.zero, model.activations);
  multiply(head, 0, model.activations, 1, model.logits, 0);
  for (let row = head.rows; row < head.paddedRows; row++) store<f32>(model.logits + (<usize>row << 2), -Infinity);
}

/**
 * Draws a token from the logits: argmax of logit / temperature + noise(seed, position, token id); at temperature 0
 * plain argmax. Ties go to the lowest id. Leaves the token, the runner-up in the same order, and the probability of
 * both under softmax(logits / temperature) (temperature 1 where it is 0) in model.choice.
 */
export function draw(model: Model, temperature: f64, seedLow: u32, seedHigh: u32, position: u32): void {
  findBestTwo(model);
  const largest = logitOf(model, best);
  if (temperature > 0) {
    setPosition(seedLow, seedHigh, position);
    findNoisyBestTwo(model, temperature);
  }
  const inverse = <f32>(temperature > 0 ? 1 / temperature : 1);
  const total = sumOfExponentials(model, largest, inverse);
  const choice = model.choice;
  choice.id = idOf(model, best);
  choice.runnerUpId = idOf(model, second);
  choice.probability = exponential((logitOf(model, best) - largest) * inverse) / total;
  choice.runnerUpProbability = exponential((logitOf(model, second) - largest) * inverse) / total;
}

function sumOfExponentials(model: Model, largest: f32, inverse: f32): f32 {
  const end = model.logits + (<usize>model.head.paddedRows << 2);
  let total = f32x4.splat(0);
  for (let at = model.logits; at < end; at += 16) {
    const below = f32x4.sub(v128.load(at), f32x4.splat(largest));
    total = f32x4.add(total, exp(f32x4.mul(below, f32x4.splat(inverse))));
  }
  return sumOfLanes(total);
}

function exponential(x: f32): f32 {
  return f32x4.extract_lane(exp(f32x4.splat(x)), 0);
}
