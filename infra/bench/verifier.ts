/**
 * `verifier`: what a step of the target costs by weights, sequences and rows, and what sampling takes of it.
 *
 * Sequences hold 256 cached tokens. Points are measured in turns, so that what else the machine does strikes all
 * alike; a figure is the median of its turns. Sampling: temperature 0.8, top-p 1, one token.
 */
import { chooseToken } from "../../gpu-service/protocol/sampling.ts";
import { loadModel, type OnnxModel } from "../../gpu-service/verify/engines/onnx/model.ts";
import { openTarget } from "../../gpu-service/verify/engines/onnx/target.ts";
import type { Cache } from "../../gpu-service/verify/scheduler/model.ts";
import { ensureDefaultModel } from "../models/default-model.ts";
import { DEFAULT_FORMAT, FORMATS } from "../models/pins.ts";
import { openDataFolder } from "../start/paths.ts";
import { median, type Row, round } from "./result.ts";

const WIDTHS = [1, 2, 4, 8];
const ROWS_PER_SEQUENCE = [1, 2, 4, 8];
/** Steps of long hints: a text that was seen before. */
const ROWS_ALONE = [...ROWS_PER_SEQUENCE, 16, 32];
const PAST = 256;
const CHUNK = 64;
const ROUNDS = 15;
const QUICK_ROUNDS = 4;
const DRAWS = 40;

type Point = { slots: number; rows: number; ms: number };

export async function benchVerifier(
  { quick }: { quick: boolean },
  say: (line: string) => void,
): Promise<{ rows: Row[]; summary: Record<string, Row> }> {
  const formats = quick ? ([DEFAULT_FORMAT] as const) : FORMATS;
  const folder = await ensureDefaultModel(openDataFolder(), formats, say);
  const rows: Row[] = [];
  const summary: Record<string, Row> = {};
  for (const weights of formats) {
    const target = await openTarget(folder, weights);
    const model = await loadModel(target, {
      slots: quick ? 4 : 8,
      threads: 1,
      context: 1024,
      retainedBytes: 0,
    });
    const points = await measureSteps(model, quick ? QUICK_ROUNDS : ROUNDS);
    const samplingMs = await measureSampling(model);
    const at = (n: number) => points.find((p) => p.slots === 1 && p.rows === n)!.ms;
    for (const { slots, rows: n, ms } of points) rows.push({ weights, slots, rows: n, ms: round(ms, 2) });
    summary[weights] = {
      plain_ms: round(at(1), 2),
      rows8_over_rows1: round(at(8) / at(1), 2),
      rows32_over_rows1: round(at(32) / at(1), 2),
      sampling_share: round(samplingMs / (samplingMs + at(1)), 4),
    };
    say(`${weights}: ${round(at(1), 1)} ms`);
  }
  return { rows, summary };
}

async function measureSteps(model: OnnxModel, rounds: number): Promise<Point[]> {
  const widths = WIDTHS.filter((slots) => model.widths.includes(slots));
  const caches = await filledCaches(model, Math.max(...widths));
  const points = widths.flatMap((slots) =>
    (slots === 1 ? ROWS_ALONE : ROWS_PER_SEQUENCE).map((each) => ({ slots, each, times: [] as number[] })),
  );
  for (let turn = 0; turn <= rounds; turn++) {
    for (const { slots, each, times } of points) {
      const used = caches.slice(0, slots);
      const ids = Array.from({ length: each }, (_, i) => 100 + i);
      const started = performance.now();
      await model.run(used.map((cache) => ({ cache, ids, firstLogitRow: 0 })));
      // The first turn warms buffers up.
      if (turn > 0) times.push(performance.now() - started);
      for (const cache of used) cache.truncate(PAST);
    }
  }
  for (const cache of caches) cache.release();
  return points.map(({ slots, each, times }) => ({ slots, rows: slots * each, ms: median(times) }));
}

async function filledCaches(model: OnnxModel, count: number): Promise<Cache[]> {
  const caches = Array.from({ length: count }, () => model.openCache());
  for (const cache of caches) {
    for (let n = 0; n < PAST; n += CHUNK) {
      const ids = Array.from({ length: CHUNK }, (_, i) => ((n + i) * 31) % model.vocabSize);
      await model.run([{ cache, ids, firstLogitRow: CHUNK }]);
    }
  }
  return caches;
}

/** Milliseconds of one draw on real logits. */
async function measureSampling(model: OnnxModel): Promise<number> {
  const cache = model.openCache();
  const step = await model.run([{ cache, ids: [1, 504, 260], firstLogitRow: 2 }]);
  const logits = step.row(0, 2).slice();
  cache.release();
  const sampling = {
    temperature: 0.8,
    top_p: 1,
    top_k: 0,
    min_p: 0,
    seed: "1",
    presence_penalty: 0,
    frequency_penalty: 0,
    logit_bias: [],
  };
  const times = Array.from({ length: DRAWS }, (_, position) => {
    const started = performance.now();
    chooseToken(logits, sampling, 1n, position);
    return performance.now() - started;
  });
  return median(times.slice(DRAWS / 4));
}
