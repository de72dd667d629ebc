/** vLLM with a speculation of its own, as a process that takes prompts one by one (own.py). */
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { z } from "zod";
import { ROOT } from "../../start/paths.ts";

const resultSchema = z.object({ ids: z.array(z.int()), steps: z.int(), ms: z.number() });
export type OwnResult = z.infer<typeof resultSchema>;
export type OwnOptions = {
  python: string;
  /** The target's Hugging Face folder. */
  target: string;
  context: number;
  stop_ids: readonly number[];
};

export class OwnVllm {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  readonly #how: string;

  private constructor(how: string, child: ChildProcess) {
    this.#how = how;
    this.#child = child;
    this.#lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
  }

  /** `how`: "ngram", or the path of a draft's image. Rejects where it does not start. */
  static async start({ python, ...options }: OwnOptions, how: string): Promise<OwnVllm> {
    const env = {
      ...{ VLLM_LOGGING_LEVEL: "ERROR", HF_HUB_OFFLINE: "1", VLLM_NO_USAGE_STATS: "1" },
      ...{ VLLM_CPU_KVCACHE_SPACE: "1", VLLM_CPU_OMP_THREADS_BIND: "nobind", OMP_NUM_THREADS: "1" },
      ...process.env,
      PYTHONPATH: `${ROOT}/gpu-service/training/trainer`,
      PYTHONDONTWRITEBYTECODE: "1",
    };
    const args = [`${ROOT}/infra/bench/vllm/own.py`, JSON.stringify({ ...options, how })];
    const child = spawn(python, args, { env, stdio: ["pipe", "pipe", "inherit"] });
    const own = new OwnVllm(how, child);
    await own.#next();
    return own;
  }

  async complete(ids: readonly number[], tokens: number): Promise<OwnResult> {
    this.#child.stdin!.write(`${JSON.stringify({ ids, tokens })}\n`);
    return resultSchema.parse(await this.#next());
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null) return;
    const exited = new Promise((resolve) => this.#child.once("exit", resolve));
    this.#child.stdin!.end();
    await exited;
  }

  async #next(): Promise<unknown> {
    const { value, done } = await this.#lines.next();
    if (done) throw new Error(`vLLM with ${this.#how} ended`);
    return JSON.parse(value);
  }
}
