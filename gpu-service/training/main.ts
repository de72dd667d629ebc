/** The training service's composition root: the only place where it reads its environment. */
import { randomBytes } from "node:crypto";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { serve } from "@hono/node-server";
import pino from "pino";
import { trainingApi } from "./api/app.ts";
import { trainingMetrics } from "./api/metrics.ts";
import { parseTrainingConfig, type TrainingConfig } from "./config.ts";
import { Outbox } from "./events/outbox.ts";
import { EventSender } from "./events/sender.ts";
import { JobFolders } from "./jobs/folders.ts";
import { Recipes } from "./jobs/recipes.ts";
import { JobRunner } from "./jobs/runner.ts";
import { JobStore } from "./jobs/store.ts";
import { launcherOf, trainerOptions } from "./launchers/configured.ts";
import { isRunning, processIdentity } from "./launchers/process.ts";
import { Releasing } from "./releasing.ts";
import { JobInputs } from "./traffic/job-inputs.ts";

const here = dirname(fileURLToPath(import.meta.url));
const parsed = parseTrainingConfig(process.env);
if (!parsed.ok) {
  console.error(parsed.message);
  process.exit(2);
}
const config = parsed.value;
const log = pino({ name: "training", level: config.LOG_LEVEL });
const storePath = join(config.TRAINING_DATA, "jobs.sqlite");
const store = new JobStore(storePath);
const folders = new JobFolders(join(config.TRAINING_DATA, "jobs"));
const recipes = new Recipes(config.TRAINING_RECIPES ?? join(here, "recipes"), config.TRAINING_CORPORA);
const trainer = trainerOptions(config, join(here, "trainer"));
const releasing = config.publishing && new Releasing(config.publishing, trainer);
const cannotPublish = () => Promise.reject(new Error("this service is not configured to publish"));
const runner = new JobRunner({
  store,
  folders,
  recipes,
  launcher: launcherOf(config, trainer),
  inputs: releasing?.inputs ?? new JobInputs(cannotPublish),
  judge: (job, task, signal) =>
    releasing?.judge(task, { log: (line) => folders.say(job.id, line), signal }) ?? cannotPublish(),
  publish: (job, folder, signal) => releasing?.publish(job, folder, signal) ?? cannotPublish(),
  owner: processIdentity(process.pid) ?? `${process.pid}@unknown`,
  isRunning,
  log,
});
const sender = eventSender(config);
const app = trainingApi({
  store,
  recipes,
  logPath: (id) => folders.logPath(id),
  token: config.TRAINING_TOKEN,
  canPublish: config.publishing !== null,
  newId: () => `job-${randomBytes(8).toString("hex")}`,
  newRelease: (recipe) => `${recipe}-${compactTime(new Date())}-${randomBytes(2).toString("hex")}`,
  metrics: trainingMetrics(store),
  changeChannel: releasing ? (target, change) => releasing.changeChannel(target, change) : undefined,
});

const server = serve(
  { fetch: app.fetch, hostname: config.TRAINING_HOST, port: config.TRAINING_PORT },
  ({ port }) => {
    log.info({ host: config.TRAINING_HOST, port, recipes: recipes.names }, "listening");
    runner.start();
    sender?.start();
  },
);
server.on("error", (error) => {
  log.fatal({ err: error }, `cannot listen on ${config.TRAINING_HOST}:${config.TRAINING_PORT}`);
  process.exit(1);
});
let isStopping = false;
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.on(signal, () => {
    // Whoever stops us may ask more than once; the trainer needs its time all the same.
    if (!isStopping) void stop(signal);
    isStopping = true;
  });
}

async function stop(signal: string): Promise<void> {
  log.info({ signal }, "stopping");
  server.close();
  await runner.close();
  await sender?.close();
  store.close();
  // Followers of a job's events would hold the server open.
  process.exit(0);
}

/** None without a worker, or without a token to sign with. */
function eventSender({ publishing, TRAINING_TOKEN: token }: TrainingConfig): EventSender | undefined {
  if (!publishing || token === undefined) return undefined;
  const outbox = new Outbox(storePath);
  return new EventSender({ outbox, edgeUrl: publishing.EDGE_URL, token, fetch, now: Date.now, log });
}

/** UTC, such as 20261124-071503. */
function compactTime(time: Date): string {
  return time.toISOString().slice(0, 19).replace(/[-:]/g, "").replace("T", "-");
}
