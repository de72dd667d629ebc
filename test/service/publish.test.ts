/** Publishing into a real worker: its local bucket through the S3 endpoint, its channel through the admin API. */
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { PublishingConfig } from "../../gpu-service/training/config.ts";
import { Bucket } from "../../gpu-service/training/publish/bucket.ts";
import { openPublisher, type Publisher } from "../../gpu-service/training/publish/publisher.ts";
import { openSigningKeys } from "../../gpu-service/training/publish/signing-keys.ts";
import { buildKernel } from "../../infra/build/kernel.ts";
import { readLocalBucket, workerCommand } from "../../infra/start/edge.ts";
import { type DataFolder, openDataFolder } from "../../infra/start/paths.ts";
import { freePort } from "../../infra/start/ports.ts";
import { Processes } from "../../infra/start/processes.ts";
import { waitUntilReady } from "../../infra/start/ready.ts";
import { openSecrets } from "../../infra/start/secrets.ts";
import { makeDraftFolder } from "../support/draft-folder.ts";
import { temporaryFolder } from "../support/training-folder.ts";

const WEIGHTS_BYTES = 30_000_000;
let data: DataFolder;
let port: number;
let processes: Processes;
let config: PublishingConfig;
let publisher: Publisher;

beforeAll(async () => {
  data = openDataFolder(temporaryFolder());
  port = await freePort();
  await buildKernel();
  const address = `http://127.0.0.1:${port}`;
  const bucket = readLocalBucket();
  config = {
    S3_ENDPOINT: `${address}${bucket.endpointPath}`,
    S3_ACCESS_KEY_ID: bucket.accessKeyId,
    S3_SECRET_ACCESS_KEY: bucket.secretAccessKey,
    S3_BUCKET: bucket.bucket,
    EDGE_URL: address,
    ADMIN_SECRET: openSecrets(data.keys).admin,
    KEYS_DIR: data.keys,
  };
  await startWorker();
  publisher = await openPublisher(config);
});
afterAll(async () => {
  publisher?.close();
  await processes?.stop();
});

async function startWorker(): Promise<void> {
  processes = new Processes(data.logs);
  const secrets = openSecrets(data.keys);
  const variables = {
    TARGET: "tiny",
    VERIFIER_URLS: "ws://127.0.0.1:9",
    LINK_KEY_ID: secrets.link.id,
    LINK_SECRET: secrets.link.secret,
    TRUSTED_KEYS: JSON.stringify((await openSigningKeys(data.keys)).trusted),
    ADMIN_SECRET: secrets.admin,
  };
  processes.start(workerCommand(data, port, await freePort(), variables));
  await waitUntilReady(processes, { name: "worker", url: `${config.EDGE_URL}/healthz`, timeoutMs: 90_000 });
}

test("a release of 30 MB is published, signed, current, and reads back as it was", async () => {
  const weights = "w".repeat(WEIGHTS_BYTES);
  expect(await publisher.importRelease(makeDraftFolder("big", weights))).toEqual({
    id: "big",
    promoted: true,
  });
  expect((await publisher.show("big")).manifest.memory_bytes).toBe(WEIGHTS_BYTES);
  expect((await publisher.channels.read("tiny"))?.current.release).toBe("big");
  const bucket = new Bucket(config);
  const read = await bucket.read("drafts/big/model.draft");
  bucket.close();
  expect(Buffer.from(read!).equals(Buffer.from(weights))).toBe(true);
});

test("again is fine, other content is not", async () => {
  await publisher.publishJob(makeDraftFolder("x", "same"), "immutable");
  await publisher.publishJob(makeDraftFolder("x", "same"), "immutable");
  await expect(publisher.publishJob(makeDraftFolder("x", "other"), "immutable")).rejects.toThrow(
    "drafts/immutable/model.draft: exists with other content",
  );
});

test("several writers at once: every release is in the channel's history exactly once", async () => {
  const ids = ["rival-1", "rival-2", "rival-3"];
  const before = (await publisher.channels.read("tiny"))!.sequence;
  await Promise.all(ids.map((id) => publisher.publishJob(makeDraftFolder("x", id), id)));
  const record = (await publisher.channels.read("tiny"))!;
  expect(record.sequence).toBe(before + 3);
  const history = await fetch(`${config.EDGE_URL}/admin/channels/tiny/history`, {
    headers: { authorization: `Bearer ${config.ADMIN_SECRET}` },
  });
  const { data: entries } = (await history.json()) as { data: { release: string }[] };
  expect(
    entries
      .slice(0, 3)
      .map((entry) => entry.release)
      .sort(),
  ).toEqual(ids);
  expect(entries[0]?.release).toBe(record.current.release);
});

test("wrong credentials and a wrong admin secret change nothing and say so", async () => {
  const before = await publisher.channels.read("tiny");
  const thief = await openPublisher({ ...config, S3_SECRET_ACCESS_KEY: "guessed" });
  await expect(thief.publishJob(makeDraftFolder("x"), "stolen")).rejects.toThrow(/SignatureDoesNotMatch|403/);
  thief.close();
  const stranger = await openPublisher({ ...config, ADMIN_SECRET: "guessed-guessed-guessed" });
  await expect(stranger.promote("big")).rejects.toThrow("the edge answered 401");
  stranger.close();
  const foreignKeys = await openPublisher({ ...config, KEYS_DIR: join(data.root, "foreign") });
  await expect(foreignKeys.publishJob(makeDraftFolder("x"), "foreign")).rejects.toThrow(
    /which is not trusted/,
  );
  foreignKeys.close();
  expect(await publisher.channels.read("tiny")).toEqual(before);
});

test("the real bucket verifies whole; gc removes what was cut off and what no channel names", async () => {
  const bucket = new Bucket(config);
  await bucket.create("drafts/cut-off/model.draft", Buffer.from("weights"));
  const days = 3;
  const options = { nowMs: Date.now() + days * 86_400_000, keepMs: 0, isDryRun: false };
  const { current, previous } = (await publisher.channels.read("tiny"))!;
  const all = await publisher.list();
  const removed = (await publisher.collectGarbage(options)).map(({ id }) => id);
  expect(removed).toEqual(expect.arrayContaining(["cut-off", "big"]));
  expect(await publisher.list()).toEqual([current.release, previous!.release].sort());
  expect(removed.length).toBe(all.length - 2 + 1);
  const findings = await publisher.verify("tiny");
  expect(findings.map(({ problems }) => problems)).toEqual([[], [], []]);
  expect(await bucket.list("drafts/cut-off/")).toEqual([]);
  bucket.close();
});

test("everything outlives the worker", async () => {
  const before = await publisher.channels.read("tiny");
  await processes.stop();
  await startWorker();
  expect(await publisher.channels.read("tiny")).toEqual(before);
  expect(await publisher.list()).toEqual([before!.current.release, before!.previous!.release].sort());
  await publisher.channels.rollback("tiny");
  expect((await publisher.channels.read("tiny"))?.current).toEqual(before?.previous);
});
