/**
 * The training service and its trainers, killed at random moments: no job is lost or done twice, no release is half,
 * the channel names the newest one, and whoever follows the jobs by events knows how each ended.
 */
import { createHash } from "node:crypto";
import { chmodSync, copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Outbox } from "../../gpu-service/training/events/outbox.ts";
import { JobStore } from "../../gpu-service/training/jobs/store.ts";
import { openPublisher } from "../../gpu-service/training/publish/publisher.ts";
import { openSigningKeys } from "../../gpu-service/training/publish/signing-keys.ts";
import { killAtRandom } from "../../infra/check/kills/at-random.ts";
import { trainerVictim } from "../../infra/check/kills/trainer.ts";
import { seededRandom } from "../../infra/network/random.ts";
import { ROOT } from "../../infra/start/paths.ts";
import { freePort } from "../../infra/start/ports.ts";
import { type FakeChannel, startFakeChannel } from "../support/fake-channel.ts";
import { type FakeS3, startFakeS3 } from "../support/fake-s3.ts";
import { prepareFolder, temporaryFolder } from "../support/training-folder.ts";
import { TrainingService } from "../support/training-service.ts";

const KILLS = 10;
const ADMIN_SECRET = "an admin secret for tests";
const REQUIREMENTS = join(ROOT, "gpu-service/training/trainer/requirements-train.txt");
const GATES = `
  import { readFileSync, writeFileSync } from "node:fs";
  const { folder } = JSON.parse(readFileSync(process.argv[2], "utf8"));
  await new Promise((resolve) => setTimeout(resolve, 100));
  writeFileSync(folder + "/gates.json", '[{"gate":"fake","passed":true,"message":"","figures":{}}]');`;

let s3: FakeS3;
let edge: FakeChannel;
beforeEach(async () => {
  s3 = await startFakeS3("releases");
  edge = await startFakeChannel(ADMIN_SECRET);
});
const running: TrainingService[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map((service) => service.kill()));
  s3.close();
  edge.close();
});

/** An environment that is finished, its Python the fake trainer. */
function makeVenv(folder: string): string {
  const venv = join(folder, "venv");
  mkdirSync(join(venv, "bin"), { recursive: true });
  copyFileSync(join(folder, "python"), join(venv, "bin/python"));
  chmodSync(join(venv, "bin/python"), 0o755);
  const digest = createHash("sha256").update(readFileSync(REQUIREMENTS)).digest("hex");
  writeFileSync(join(venv, ".outrider-stamp"), `${digest} cpu\n`);
  return venv;
}

test(`${KILLS} kills of the service and of its trainers`, { timeout: 300_000 }, async () => {
  const folder = prepareFolder({ fake: { steps: 12, step_ms: 40 } });
  writeFileSync(join(folder, "gates.mjs"), GATES);
  const publishing = {
    ...{ S3_ENDPOINT: s3.endpoint, S3_ACCESS_KEY_ID: "id", S3_SECRET_ACCESS_KEY: "secret" },
    ...{ S3_BUCKET: "releases", EDGE_URL: edge.url, ADMIN_SECRET, KEYS_DIR: join(temporaryFolder(), "keys") },
  };
  edge.trusted.push(...(await openSigningKeys(publishing.KEYS_DIR)).trusted);
  const service = new TrainingService({
    ...publishing,
    TRAINING_PORT: String(await freePort()),
    TRAINING_DATA: join(folder, "training"),
    TRAINING_TOKEN: "a token of more than thirty-two bytes",
    TRAINING_RECIPES: join(folder, "recipes"),
    TRAINING_VENV: makeVenv(folder),
    MODELS_ROOT: folder,
    OUTRIDER_TORCH: "cpu",
    ...{ GATES_PROGRAM: join(folder, "gates.mjs"), VERIFIER_URL: "ws://127.0.0.1:9" },
    ...{ LINK_KEY_ID: "k", LINK_SECRET: "s" },
  });
  running.push(service);
  await service.start();
  const store = new JobStore(join(folder, "training/jobs.sqlite"));
  const restart = async () => {
    await service.kill();
    await service.start();
    return true;
  };
  const killed = await killAtRandom({
    victims: [{ name: "service", kill: restart }, trainerVictim(store)],
    ...{ kills: KILLS, pauseMs: [50, 900], random: seededRandom(7) },
    keepBusy: () => service.keepBusy((number) => ({ recipe: "fake", release: `release-${number}` })),
  });
  const jobs = await service.untilFinished();
  await service.stop();
  store.close();

  expect(killed.service! + killed.trainer!).toBe(KILLS);
  expect(jobs.map(({ state, error }) => [state, error])).toEqual(jobs.map(() => ["succeeded", null]));
  expect(jobs.map(({ release }) => release)).toEqual(jobs.map((_, i) => `release-${i + 1}`));
  for (const { id } of jobs) expectOneTrainerAtATime(join(folder, "training/jobs", id));

  const publisher = await openPublisher(publishing);
  expect((await publisher.list()).length).toBe(jobs.length);
  const findings = await publisher.verify("tiny");
  expect(findings.filter(({ problems }) => problems.length > 0)).toEqual([]);
  expect((await publisher.channels.read("tiny"))?.current.release).toBe(jobs.at(-1)!.release);
  publisher.close();
  // The fake worker takes no events: every end of a job still waits to be told.
  const outbox = new Outbox(join(folder, "training/jobs.sqlite"));
  expect(outbox.size).toBeGreaterThanOrEqual(2 * jobs.length);
  outbox.close();
});

/** Every start of a trainer goes on at the last checkpoint of the one before, or later: nobody wrote beside it. */
function expectOneTrainerAtATime(folder: string): void {
  const starts = readFileSync(join(folder, "starts"), "utf8").trim().split("\n").map(Number);
  expect(starts).toEqual([...starts].sort((a, b) => a - b));
  const lines = readFileSync(join(folder, "events.jsonl"), "utf8").trim().split("\n");
  const steps = lines.map((line) => (JSON.parse(line) as { step: number }).step);
  expect(steps).toEqual([...steps].sort((a, b) => a - b));
}
