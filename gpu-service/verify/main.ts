/** The verification service: reads its configuration, loads the target, serves the link until told to stop. */
import { readFileSync } from "node:fs";
import { pino } from "pino";
import { readConfig } from "./config.ts";
import type { Engine, EngineListener } from "./engines/engine.ts";
import { startOnnxEngine } from "./engines/onnx/engine.ts";
import { type Pace, parsePace } from "./engines/pace.ts";
import { EnginePool } from "./engines/pool.ts";
import { startVllm } from "./engines/vllm/start.ts";
import { Link } from "./link/link.ts";
import { NonceWindow } from "./link/nonces.ts";
import { LinkServer } from "./link/server.ts";
import { Metrics } from "./metrics.ts";
import type { AttentionCost } from "./scheduler/cost.ts";

const MAX_NONCES = 100_000;

const config = orExit(() => readConfig(process.env));
const pace = orExit(() => readPace(config.paceFile));
const log = pino({ level: config.logLevel, base: { service: "verify" } });
const metrics = new Metrics();
let notReady: string | undefined = "loading the target";
let link: Link | undefined;

const listener: EngineListener = {
  turn: (turn) => {
    link?.deliver(turn.frames);
    metrics.turn(turn);
    if (turn.overrunMs > 0) warnOfOverrun(turn.overrunMs);
  },
  failed: (reason) => {
    log.fatal({ reason }, "engine lost");
    link?.abandon({ code: "internal", message: "the engine is lost", retryable: true });
    setTimeout(() => process.exit(1), 200);
  },
};

main().catch((error: unknown) => {
  log.fatal({ reason: error instanceof Error ? error.message : String(error) }, "cannot start");
  process.exit(1);
});

async function main(): Promise<void> {
  const server = new LinkServer({ ...config, now: () => performance.now() }, metrics, () => notReady);
  const port = await server.listen();
  log.info({ host: config.host, port }, "listening");
  if (pace) {
    log.warn({ label: pace.label }, "paced: steps take as long as those of an emulated machine");
    metrics.paced.set({ label: pace.label }, 1);
  }
  const engine = config.engine === "vllm" ? await startCopies() : await startWorkers();
  const nonces = new NonceWindow(MAX_NONCES);
  const nowSeconds = () => Date.now() / 1000;
  const { info } = engine;
  const gate = { info, keys: config.linkKeys, nonces, since: Math.floor(nowSeconds()), nowSeconds };
  link = new Link(engine, gate, metrics, log);
  server.serve(link);
  notReady = undefined;
  log.info("ready");
  stopOnSignals(server, engine, link);
}

/** Each worker its own slots; what is bounded for the service is shared out among them. */
async function startWorkers(): Promise<Engine> {
  const { workers } = config;
  const options = {
    ...config,
    folder: config.targetFolder,
    retainedBytes: config.retainedBytes / workers,
    queueLimit: Math.ceil(config.queueLimit / workers),
    pace,
  };
  const pool = await EnginePool.start(workers, (own) => startOnnxEngine(options, own), listener);
  const { info, engines } = pool;
  const { widths, costs } = engines[0]!;
  const loadMs = engines.map((engine) => Math.round(engine.loadMs));
  const stepMs = costs.points.map(({ slots, rows, ms }) => ({ slots, rows, ms: Number(ms.toFixed(2)) }));
  const cost = { step_ms: stepMs, per_1000_cached: perThousand(costs.attention) };
  log.info({ ...info, workers, widths, load_ms: loadMs, ...cost }, "target loaded and exact");
  return pool;
}

/** Copies of the target in vLLM, each a process (or many, over Ray). */
async function startCopies(): Promise<Engine> {
  const pool = await startVllm(config, process.env, listener);
  for (const { ready } of pool.engines) {
    const { exact, difference } = ready;
    log.info({ ...pool.info, exact, difference }, "target loaded");
    if (!exact)
      log.warn(
        { difference },
        "texts are equal up to numerics only: hints and companions show in the last bits",
      );
  }
  return pool;
}

function perThousand({ readMs, lookMs }: AttentionCost): { ms: number; row_ms: number } {
  return { ms: Number((readMs * 1000).toFixed(2)), row_ms: Number((lookMs * 1000).toFixed(2)) };
}

/** SIGTERM or SIGINT: no new completions, those that run may end, then everything closes. A second one ends at once. */
function stopOnSignals(server: LinkServer, engine: Engine, link: Link): void {
  const stop = async (signal: string) => {
    if (notReady) process.exit(1);
    notReady = "shutting down";
    log.info({ signal }, "stopping");
    await link.drain(config.graceMs);
    await server.close();
    await engine.close();
    log.info("stopped");
    process.exit(0);
  };
  for (const signal of ["SIGTERM", "SIGINT"]) process.on(signal, () => void stop(signal));
}

let hasOverrun = false;

function warnOfOverrun(ms: number): void {
  if (hasOverrun) return;
  hasOverrun = true;
  const message =
    "a step took longer than its pace: this machine is too slow for it, times are not the pace's";
  log.warn({ overrun_ms: Number(ms.toFixed(2)) }, message);
}

function readPace(path: string | undefined): Pace | undefined {
  if (path === undefined) return undefined;
  try {
    return parsePace(readFileSync(path, "utf8"));
  } catch (error) {
    throw new Error(`verification service: PACE_FILE: ${path}: ${(error as Error).message}`);
  }
}

function orExit<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : error}\n`);
    process.exit(2);
  }
}
