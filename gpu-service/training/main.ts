/** The training service's composition root: the only place where it reads its environment. */
import { randomBytes } from "node:crypto";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { serve } from "@hono/node-server";
import pino from "pino";
import type { Gate } from "../protocol/jobs.ts";
import { trainingApi } from "./api/app.ts";
import { trainingMetrics } from "./api/metrics.ts";
import { type PublishingConfig, parseTrainingConfig, type TrainingConfig } from "./config.ts";
import { Outbox } from "./events/outbox.ts";
import { EventSender } from "./events/sender.ts";
import { askGates } from "./gates/gates.ts";
import { JobFolders } from "./jobs/folders.ts";
import type { StoredJob } from "./jobs/job-row.ts";
import { Recipes } from "./jobs/recipes.ts";
import { JobRunner } from "./jobs/runner.ts";
import { JobStore } from "./jobs/store.ts";
import type { Launcher, TrainingTask } from "./launchers/launcher.ts";
import { type LocalLauncherOptions, localLauncher } from "./launchers/local.ts";
import { isRunning, processIdentity } from "./launchers/process.ts";
import { ensurePythonEnv } from "./launchers/python-env.ts";
import { rayLauncher } from "./launchers/ray.ts";
import { Bucket } from "./publish/bucket.ts";
import { openPublisher, type Publisher } from "./publish/publisher.ts";
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
const trainer = launcherOptions(config);
const runner = new JobRunner({
  store,
  folders,
  recipes,
  launcher: launcherOf(config, trainer),
  inputs: new JobInputs(() => openInputs(config)),
  judge: (job, task, signal) =>
    judge(config, trainer, task, { log: (line) => folders.say(job.id, line), signal }),
  publish: (job, folder, signal) => publish(config, job, folder, signal),
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
  changeChannel: config.publishing
    ? (target, change) =>
        withPublisher(config.publishing!, (publisher) => publisher.changeChannel(target, change))
    : undefined,
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

function launcherOf(from: TrainingConfig, local: LocalLauncherOptions): Launcher {
  if (from.TRAINING_LAUNCHER === "local") return localLauncher(local);
  return rayLauncher({
    ...{ address: from.RAY_ADDRESS, token: from.RAY_AUTH_TOKEN, python: from.RAY_PYTHON },
    ...{ workers: from.RAY_WORKERS, gpus: from.RAY_GPUS },
    ...{ project: local.project, modelsRoot: local.modelsRoot },
  });
}

function launcherOptions(from: TrainingConfig): LocalLauncherOptions {
  const project = join(here, "trainer");
  const wish = {
    folder: from.TRAINING_VENV ?? join(dirname(from.TRAINING_DATA), "venv-train"),
    requirements: join(project, "requirements-train.txt"),
    python: from.OUTRIDER_PYTHON,
    torch: from.OUTRIDER_TORCH,
    torchIndexUrl: from.OUTRIDER_TORCH_INDEX_URL,
  };
  return { project, modelsRoot: from.MODELS_ROOT, environment: (shell) => ensurePythonEnv(wish, shell) };
}

/** None without a worker, or without a token to sign with. */
function eventSender({ publishing, TRAINING_TOKEN: token }: TrainingConfig): EventSender | undefined {
  if (!publishing || token === undefined) return undefined;
  const outbox = new Outbox(storePath);
  return new EventSender({ outbox, edgeUrl: publishing.EDGE_URL, token, fetch, now: Date.now, log });
}

function judge(
  { publishing }: TrainingConfig,
  { project, modelsRoot, environment }: LocalLauncherOptions,
  task: TrainingTask,
  tell: { log(line: string): void; signal: AbortSignal },
): Promise<Gate[]> {
  if (!publishing) throw new Error("this service is not configured to publish");
  const { GATES_PROGRAM: program, VERIFIER_URL, LINK_KEY_ID, LINK_SECRET } = publishing;
  return askGates(
    {
      program,
      environment: { VERIFIER_URL, LINK_KEY_ID, LINK_SECRET },
      trainer: { project, modelsRoot, python: () => environment({ ...tell, step: () => {} }) },
      fetchCurrent: (target, folder) =>
        withPublisher(publishing, (publisher) => publisher.fetchCurrent(target, folder)),
    },
    task,
    tell,
  );
}

async function publish(
  { publishing }: TrainingConfig,
  { release, publish: wish }: StoredJob,
  folder: string,
  signal: AbortSignal,
): Promise<void> {
  if (wish === "no") return;
  if (!publishing) throw new Error(`release ${release}: this service is not configured to publish`);
  await withPublisher(publishing, (publisher) => publisher.publishJob(folder, release, wish, signal));
}

/** Where jobs' traffic and parents come from. */
async function openInputs({
  publishing,
}: TrainingConfig): ReturnType<ConstructorParameters<typeof JobInputs>[0]> {
  if (!publishing) throw new Error("this service has no bucket configured (S3_ENDPOINT, ...)");
  const [bucket, publisher] = [new Bucket(publishing), await openPublisher(publishing)];
  return {
    bucket,
    release: (id) => publisher.readRelease(id),
    close: () => {
      bucket.close();
      publisher.close();
    },
  };
}

/** Keys are read anew each time: they may have been rotated since the last job. */
async function withPublisher<T>(
  config: PublishingConfig,
  use: (publisher: Publisher) => Promise<T>,
): Promise<T> {
  const publisher = await openPublisher(config);
  try {
    return await use(publisher);
  } finally {
    publisher.close();
  }
}

/** UTC, such as 20261124-071503. */
function compactTime(time: Date): string {
  return time.toISOString().slice(0, 19).replace(/[-:]/g, "").replace("T", "-");
}
