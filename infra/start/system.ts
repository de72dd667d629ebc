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
import { engineVariables, readEngine } from "./engine.ts";
import { lockDataFolder } from "./lock.ts";
import { freePort } from "./ports.ts";
import { type Command, Processes } from "./processes.ts";
import { waitUntilReady } from "./ready.ts";
import { openSecrets } from "./secrets.ts";
import { pin, publishingVariables, trainingCommand, verifierCommand } from "./services.ts";
import type { Part, System, SystemOptions } from "./system-parts.ts";
import { type PreparedTarget, prepareTarget } from "./target.ts";

const READY_TIMEOUT_MS = 180_000;

export type { Part, System, SystemOptions } from "./system-parts.ts";

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
  const training = trainingCommand(data, ports, secrets, publishing);
  start({ ...training, env: { ...training.env, ...options.trainingEnv } });
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
  const health: Record<Part, string> = {
    worker: `${address}/healthz`,
    verifier: `http://127.0.0.1:${ports.verifier}/readyz`,
    training: `http://127.0.0.1:${ports.training}/healthz`,
  };
  const edge = async () => {
    await ready("worker", health.worker);
    const [key] = await Promise.all([
      openDevelopmentKey(data.keys, address, secrets.admin),
      publish(publishing, target, say),
    ]);
    if (target.draft && !options.cold) say(await loadDraft(address, key, target.id));
    return key;
  };
  const [key] = await Promise.all([
    edge(),
    ready("verifier", health.verifier),
    ready("training", health.training),
  ]);
  const crons = tickCrons(readCrons(readWranglerToml()), (cron, at) => fireCron(address, cron, at, say));

  return {
    address,
    verifier: `http://127.0.0.1:${ports.verifier}`,
    training: `http://127.0.0.1:${ports.training}`,
    ...{ key, target: target.id, secrets, data, publishing },
    network,
    unexpectedExit: processes.unexpectedExit,
    pids: () => processes.pids(),
    pid: (part) => processes.pid(part)!,
    async restart(part) {
      await processes.restart(part);
      await ready(part, health[part]);
    },
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
