/**
 * The whole system on this machine: verifier, training service and worker, wired to each other and ready to serve.
 *
 * `npm start`, the service tests and the benchmarks all start it from here.
 */
import type { PublishingConfig } from "../../gpu-service/training/config.ts";
import { openPublisher } from "../../gpu-service/training/publish/publisher.ts";
import { openSigningKeys } from "../../gpu-service/training/publish/signing-keys.ts";
import { buildKernel } from "../build/kernel.ts";
import { NetworkProxy } from "../network/proxy.ts";
import { fireCron, readCrons, tickCrons } from "./cron.ts";
import { openDevelopmentKey } from "./development-key.ts";
import { loadDraft } from "./draft.ts";
import { applyMigrations, readWranglerToml, workerCommand } from "./edge.ts";
import { type EngineName, engineVariables, readEngine } from "./engine.ts";
import { lockDataFolder } from "./lock.ts";
import type { DataFolder } from "./paths.ts";
import { freePort, type Ports } from "./ports.ts";
import { type Command, type Exit, Processes } from "./processes.ts";
import { waitUntilReady } from "./ready.ts";
import { openSecrets, type Secrets } from "./secrets.ts";
import { pin, publishingVariables, trainingCommand, verifierCommand } from "./services.ts";
import { type PreparedTarget, prepareTarget, type TargetName } from "./target.ts";

const READY_TIMEOUT_MS = 180_000;

export type SystemOptions = {
  data: DataFolder;
  target: TargetName;
  /** Serve the tiny target where the wanted one cannot be fetched. */
  orTiny?: boolean;
  ports: Ports;
  /** A line of progress for people. */
  say?: (line: string) => void;
  /** What the worker's schedule posts as a job; nothing when absent: training takes the machine for a while. */
  retrainRecipe?: string | undefined;
  /** Dials of the chain that retrains (edge/retraining/settings.ts). */
  retraining?: Record<string, number> | undefined;
  /** Lets requests ask for random and adversarial hints: for the losslessness check only. */
  testHints?: boolean;
  /** Room for drafts in the worker, in bytes, and a second Worker for canaries that do not fit it. */
  secondWorker?: { draftMemoryBytes: number };
  /** Puts a network between worker and verifier, for benchmarks: `System.network`. */
  withNetwork?: boolean;
  /** How the worker reaches the verifier; it chooses when absent. */
  link?: "own" | "shared";
  /** The verifier's engine; ENGINE of the environment when absent. */
  engine?: EngineName;
  /** More of the verifier's environment, for benchmarks. */
  verifierEnv?: Record<string, string>;
  /** The worker has loaded nothing when it begins to serve, for benchmarks. */
  cold?: boolean;
  /** Verifier on core 0, everything else on core 1: benchmarks on two cores measure this way. */
  pinned?: boolean;
};

export type System = {
  /** Base address of the public API, without a slash at its end. */
  address: string;
  verifier: string;
  training: string;
  /** A development API key. */
  key: string;
  target: string;
  secrets: Secrets;
  /** How releases are published into it. */
  publishing: PublishingConfig;
  /** Between worker and verifier, where it was asked for. */
  network: NetworkProxy | undefined;
  /** Settles when a part ends that nobody asked to end. */
  unexpectedExit: Promise<Exit>;
  pids(): number[];
  /** Leader of the process group of one part. */
  pid(part: "verifier" | "training" | "worker"): number;
  stop(): Promise<void>;
};

/** Throws StartError for what its reader can mend; nothing runs on after a throw. */
export async function startSystem(options: SystemOptions): Promise<System> {
  const unlock = lockDataFolder(options.data.root);
  const processes = new Processes(options.data.logs);
  try {
    return await startParts(options, processes, unlock);
  } catch (error) {
    await processes.stop();
    unlock();
    throw error;
  }
}

async function startParts(options: SystemOptions, processes: Processes, unlock: () => void): Promise<System> {
  const { data, ports, say = () => {} } = options;
  const secrets = openSecrets(data.keys);
  const keys = await openSigningKeys(data.keys);
  const address = `http://127.0.0.1:${ports.edge}`;
  const publishing = publishingVariables(data, address, secrets);

  const start = (command: Command) => processes.start(options.pinned ? pin(command) : command);
  // The model may have to be fetched and converted; the worker's build and database need not wait for it.
  const building = Promise.all([buildKernel(), applyMigrations(data)]);
  building.catch(() => {});
  const target = await prepareTarget(options.target, data, say, options.orTiny);
  const verifier = verifierCommand(target, ports, secrets);
  const engine = await engineVariables(options.engine ?? readEngine(), target, data, say);
  start({ ...verifier, env: { ...verifier.env, ...engine, ...options.verifierEnv } });
  start(trainingCommand(data, ports, secrets, publishing));
  await building;
  const to = { host: "127.0.0.1", port: ports.verifier };
  const network = options.withNetwork ? await NetworkProxy.listen({ to }) : undefined;
  const variables = {
    TARGET: target.id,
    VERIFIER_URLS: `ws://127.0.0.1:${network?.port ?? ports.verifier}`,
    LINK_KEY_ID: secrets.link.id,
    LINK_SECRET: secrets.link.secret,
    TRUSTED_KEYS: JSON.stringify(keys.trusted),
    ADMIN_SECRET: secrets.admin,
    TRAINING_URL: `http://127.0.0.1:${ports.training}`,
    TRAINING_TOKEN: secrets.training,
    ...(options.retrainRecipe && { RETRAIN_RECIPE: options.retrainRecipe }),
    ...(options.retraining && { RETRAINING: JSON.stringify(options.retraining) }),
    ...(options.link && { LINK: options.link }),
    ...(options.secondWorker && { DRAFT_MEMORY_BYTES: String(options.secondWorker.draftMemoryBytes) }),
    TEST_HINTS: options.testHints ? "1" : "0",
  };
  const withSecond = options.secondWorker !== undefined;
  start(workerCommand(data, ports.edge, await freePort(), variables, withSecond));

  const ready = async (name: string, url: string) => {
    await waitUntilReady(processes, { name, url, timeoutMs: READY_TIMEOUT_MS });
    say(`${name} ready`);
  };
  const edge = async () => {
    await ready("worker", `${address}/healthz`);
    const [key] = await Promise.all([
      openDevelopmentKey(data.keys, address, secrets.admin),
      publish(publishing, target, say),
    ]);
    if (target.draft && !options.cold) say(await loadDraft(address, key, target.id));
    return key;
  };
  const [key] = await Promise.all([
    edge(),
    ready("verifier", `http://127.0.0.1:${ports.verifier}/readyz`),
    ready("training", `http://127.0.0.1:${ports.training}/healthz`),
  ]);
  const crons = tickCrons(readCrons(readWranglerToml()), (cron, at) => fireCron(address, cron, at, say));

  return {
    address,
    verifier: `http://127.0.0.1:${ports.verifier}`,
    training: `http://127.0.0.1:${ports.training}`,
    key,
    target: target.id,
    secrets,
    publishing,
    network,
    unexpectedExit: processes.unexpectedExit,
    pids: () => processes.pids(),
    pid: (part) => processes.pid(part)!,
    async stop() {
      crons.stop();
      await network?.close();
      await processes.stop();
      unlock();
    },
  };
}

/** The target's text assets, and the draft that ships with it. */
async function publish(
  config: PublishingConfig,
  target: PreparedTarget,
  say: (line: string) => void,
): Promise<void> {
  const publisher = await openPublisher(config);
  try {
    await publisher.importTarget(target.folder);
    if (!target.draft) return say(`no draft ships for ${target.id}: starting without model drafts`);
    const { id, promoted } = await publisher.importRelease(target.draft);
    if (promoted) say(`draft ${id} signed and published`);
  } finally {
    publisher.close();
  }
}
