/** The embedded engine: a worker thread that owns the target (worker.ts), seen from the side of the sockets. */
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import type { Costs } from "../../scheduler/cost.ts";
import type { Engine, EngineInfo, EngineInput, EngineListener } from "../engine.ts";
import type { FromWorker, ToWorker, WorkerOptions } from "./messages.ts";

const CLOSE_TIMEOUT_MS = 5_000;

export type OnnxEngine = Engine & {
  readonly costs: Costs;
  /** Widths of the graphs that are loaded. */
  readonly widths: readonly number[];
  readonly loadMs: number;
};

/** Rejects with what is wrong if the target cannot be loaded or is not exact on this machine. */
export async function startOnnxEngine(options: WorkerOptions, listener: EngineListener): Promise<OnnxEngine> {
  const worker = new Worker(fileURLToPath(new URL("./worker.ts", import.meta.url).href), {
    workerData: options,
  });
  const post = (message: ToWorker) => worker.postMessage(message);
  const ready = await firstMessage(worker);
  let closing = false;
  const fail = (reason: string) => {
    if (!closing) listener.failed(reason);
    closing = true;
  };
  worker.on("message", (message: FromWorker) => {
    if (message.type === "failed") return fail(message.reason);
    if (message.type === "turn") listener.turn(message);
  });
  worker.on("error", (error) => fail(error.message));
  const exited = new Promise<void>((resolve) => worker.once("exit", () => resolve()));
  void exited.then(() => fail("the engine's thread ended"));
  return {
    info: ready.info,
    costs: ready.costs,
    widths: ready.widths,
    loadMs: ready.loadMs,
    send: (input: EngineInput) =>
      post({ type: "input", input, at: performance.timeOrigin + performance.now() }),
    async close() {
      closing = true;
      post({ type: "close" });
      const timer = setTimeout(() => void worker.terminate(), CLOSE_TIMEOUT_MS);
      await exited;
      clearTimeout(timer);
    },
  };
}

type Ready = { info: EngineInfo; costs: Costs; widths: number[]; loadMs: number };

function firstMessage(worker: Worker): Promise<Ready> {
  return new Promise((resolve, reject) => {
    worker.once("error", reject);
    worker.once("exit", () => reject(new Error("the engine's thread ended while loading")));
    worker.once("message", (message: FromWorker) => {
      worker.removeAllListeners("error").removeAllListeners("exit");
      if (message.type === "ready") resolve(message);
      else reject(new Error(message.type === "failed" ? message.reason : "engine: unexpected first message"));
    });
  });
}
