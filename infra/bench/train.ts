/**
 * `train`: training throughput of this project's trainer against transformers.Trainer: same weights, same ids, same
 * optimiser and dtype, in one run, turn by turn.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ensureTrainerPython } from "../check/setup.ts";
import { openDataFolder } from "../start/paths.ts";
import { median, type Result, type Row, round } from "./result.ts";
import { type Model, make, startWorker, type Turn } from "./train/worker.ts";

const MODELS: readonly Model[] = [
  { name: "4x256 V8k", shape: [4, 256, 4, 2, 704], vocab: 8192, batch: 4, steps: 4 },
  { name: "4x576 V49k", shape: [4, 576, 9, 3, 1536], vocab: 49152, batch: 2, steps: 2 },
];
const SIDES = ["ours", "theirs"] as const;
/** Turns that count, and the share of a model's steps that each has. */
const AMOUNTS = { quick: { turns: 2, share: 0.5 }, full: { turns: 12, share: 1 } };

export async function benchTrain(
  { quick }: { quick: boolean },
  say: (line: string) => void,
): Promise<Pick<Result, "rows" | "summary">> {
  const python = await ensureTrainerPython(openDataFolder(), say);
  const { turns, share } = quick ? AMOUNTS.quick : AMOUNTS.full;
  const rows: Row[] = [];
  for (const model of MODELS) {
    const row = await compare(python, { ...model, steps: model.steps * share }, turns);
    say(JSON.stringify(row));
    rows.push(row);
  }
  const ratios = rows.map(({ tok_s, transformers_tok_s }) => Number(tok_s) / Number(transformers_tok_s));
  return { rows, summary: { ratio: round(Math.min(...ratios), 3) } };
}

async function compare(python: string, model: Model, turns: number): Promise<Row> {
  const folder = await mkdtemp(join(tmpdir(), "bench-train-"));
  try {
    const { flops_per_token, parameters } = await make(python, folder, model);
    const workers = SIDES.map((side) => startWorker(python, folder, model, side));
    const speeds: Turn[][] = SIDES.map(() => []);
    try {
      // The first turn of each warms up: it is not counted.
      for (let n = 0; n <= turns; n++)
        for (const side of n % 2 === 0 ? [0, 1] : [1, 0]) {
          const turn = await workers[side]!.turn();
          if (n > 0) speeds[side]!.push(turn);
        }
    } finally {
      for (const worker of workers) worker.stop();
    }
    const [ours, theirs] = speeds.map((turns) =>
      median(turns.map(({ tokens, seconds }) => tokens / seconds)),
    );
    const shareOfPeak = ({ tokens, seconds, peak_flops }: Turn) =>
      (tokens * flops_per_token) / (seconds * peak_flops);
    const [loss, transformersLoss] = speeds.map((turns) => turns.at(-1)!.loss);
    return {
      model: model.name,
      parameters,
      dtype: "bf16",
      tok_s: round(ours!, 0),
      transformers_tok_s: round(theirs!, 0),
      mfu: round(median(speeds[0]!.map(shareOfPeak)), 3),
      loss: round(loss!, 4),
      transformers_loss: round(transformersLoss!, 4),
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
