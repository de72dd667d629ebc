/** The two trainers of `train`, each a process that trains for a turn when it is told to. */
import { spawn, spawnSync } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { z } from "zod";
import { ROOT } from "../../start/paths.ts";

export type Model = {
  readonly name: string;
  /** Layers, hidden size, heads, key-value heads, FFN. */
  readonly shape: readonly [number, number, number, number, number];
  readonly vocab: number;
  readonly batch: number;
  /** In a turn. */
  readonly steps: number;
};

const turnSchema = z.object({
  seconds: z.number(),
  tokens: z.int(),
  loss: z.number(),
  peak_flops: z.number(),
});
const madeSchema = z.object({ flops_per_token: z.number(), parameters: z.int() });
export type Turn = z.infer<typeof turnSchema>;

/** As `python -m trainer` sets it for itself: freed blocks stay in the process. */
const MALLOC = { MALLOC_MMAP_THRESHOLD_: String(2 ** 35), MALLOC_TRIM_THRESHOLD_: String(2 ** 35) };
const SCRIPT = join(import.meta.dirname, "worker.py");

/** Writes the model that both begin with. */
export async function make(python: string, folder: string, model: Model) {
  const shape = ["--shape", ...model.shape.map(String)];
  const { status, stdout, stderr } = spawnSync(
    python,
    [SCRIPT, "make", ...argumentsOf(folder, model), ...shape],
    {
      env: environment(MALLOC),
      encoding: "utf8",
    },
  );
  if (status !== 0) throw new Error(stderr);
  return madeSchema.parse(JSON.parse(stdout));
}

export function startWorker(python: string, folder: string, model: Model, side: "ours" | "theirs") {
  const child = spawn(python, [SCRIPT, side, ...argumentsOf(folder, model)], {
    env: environment(side === "ours" ? MALLOC : {}),
    stdio: ["pipe", "pipe", "inherit"],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    /** Trains for one turn. Rejects where the process has ended. */
    async turn(): Promise<Turn> {
      child.stdin.write("\n");
      const { value, done } = await lines.next();
      if (done) throw new Error(`the ${side} trainer ended`);
      return turnSchema.parse(JSON.parse(value));
    },
    stop: () => void child.kill(),
  };
}

const argumentsOf = (folder: string, { vocab, batch, steps }: Model): string[] => [
  ...["--model", join(folder, "model"), "--vocab", String(vocab)],
  ...["--batch", String(batch), "--turn", String(steps)],
];

const environment = (more: Record<string, string>): NodeJS.ProcessEnv => ({
  ...process.env,
  PYTHONPATH: join(ROOT, "gpu-service/training/trainer"),
  PYTHONDONTWRITEBYTECODE: "1",
  HF_HUB_OFFLINE: "1",
  ...more,
});
