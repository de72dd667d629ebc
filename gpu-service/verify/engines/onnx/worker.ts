/**
 * The engine's thread: onnxruntime blocks while a step runs, so model, sampling and scheduler live here and
 * sockets elsewhere. Between two steps the port is emptied by hand: what arrived during one counts in the next.
 */
import { type MessagePort, parentPort, receiveMessageOnPort, workerData } from "node:worker_threads";
import { env } from "onnxruntime-node";
import { CostTable } from "../../scheduler/cost.ts";
import { Scheduler } from "../../scheduler/scheduler.ts";
import { loadExactModel } from "./load.ts";
import type { FromWorker, ToWorker, WorkerOptions } from "./messages.ts";

const MEASURE_ROUNDS = 5;

if (!parentPort) throw new Error("worker.ts runs only as a worker thread");
const options = workerData as WorkerOptions;
const now = () => performance.now();
run(parentPort).catch((error: unknown) => {
  post({ type: "failed", reason: error instanceof Error ? error.message : String(error) });
  parentPort?.close();
});

async function run(port: MessagePort): Promise<void> {
  const started = now();
  const { model, target, widths, costs, overrunMs } = await loadExactModel(
    options,
    env.versions.node ?? "unknown",
    MEASURE_ROUNDS,
    now,
  );
  const scheduler = new Scheduler(model, {
    ...options,
    costs: new CostTable(costs.points, costs.attention),
    now,
  });
  let closing = false;
  let wake = () => {};
  const take = (message: ToWorker) => {
    if (message.type === "close") closing = true;
    else scheduler.accept(message.input, message.at - performance.timeOrigin);
    wake();
  };
  /** Something arrives, or the scheduler's clock says `until`. */
  const arrival = async (until: number | undefined) => {
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      wake = resolve;
      if (until !== undefined) timer = setTimeout(resolve, until - now());
    });
    clearTimeout(timer);
  };
  port.on("message", take);
  post({
    type: "ready",
    info: {
      target: target.id,
      tokenizer: target.tokenizer,
      numerics: model.numerics,
      vocabSize: model.vocabSize,
      context: model.context,
    },
    costs,
    widths,
    loadMs: now() - started,
  });
  while (!closing) {
    for (let got = receiveMessageOnPort(port); got; got = receiveMessageOnPort(port)) take(got.message);
    const report = await scheduler.step();
    const frames = scheduler.takeFrames();
    if (report || frames.length > 0)
      post({ type: "turn", frames, report, load: scheduler.load, overrunMs: report ? overrunMs() : 0 });
    if (report || closing) continue;
    const { idle, wakeAt } = scheduler;
    if (idle || wakeAt !== undefined) await arrival(wakeAt);
  }
  port.close();
}

function post(message: FromWorker): void {
  parentPort?.postMessage(message);
}
