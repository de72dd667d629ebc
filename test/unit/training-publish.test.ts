import { mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import {
  draftManifestSchema,
  openEnvelope,
  targetManifestSchema,
} from "../../gpu-service/protocol/manifest.ts";
import { openPublisher, type Publisher } from "../../gpu-service/training/publish/publisher.ts";
import {
  openSigningKeys,
  revokeKey,
  rotateSigningKey,
} from "../../gpu-service/training/publish/signing-keys.ts";
import { makeDraftFolder } from "../support/draft-folder.ts";
import { type FakeChannel, startFakeChannel } from "../support/fake-channel.ts";
import { type FakeS3, startFakeS3 } from "../support/fake-s3.ts";
import { temporaryFolder } from "../support/training-folder.ts";

const ADMIN_SECRET = "an admin secret for tests";
let s3: FakeS3;
let edge: FakeChannel;
let keysFolder: string;
let publisher: Publisher;

beforeEach(async () => {
  s3 = await startFakeS3("releases");
  edge = await startFakeChannel(ADMIN_SECRET);
  keysFolder = join(temporaryFolder(), "keys");
  publisher = await open();
});
afterEach(() => {
  publisher.close();
  s3.close();
  edge.close();
});

async function open(): Promise<Publisher> {
  const keys = await openSigningKeys(keysFolder);
  edge.trusted.splice(0, edge.trusted.length, ...keys.trusted);
  return openPublisher({
    S3_ENDPOINT: s3.endpoint,
    S3_ACCESS_KEY_ID: "id",
    S3_SECRET_ACCESS_KEY: "secret",
    S3_BUCKET: "releases",
    EDGE_URL: edge.url,
    ADMIN_SECRET,
    KEYS_DIR: keysFolder,
  });
}

test("files are written first, the signed manifest last, then the channel moves", async () => {
  await publisher.publishJob(makeDraftFolder("by-trainer"), "tiny-1");
  expect(s3.writes).toEqual(
    ["model.draft", "tokenizer.json", "manifest.json"].map((f) => `drafts/tiny-1/${f}`),
  );
  const { trusted } = await openSigningKeys(keysFolder);
  const envelope: unknown = JSON.parse(s3.objects.get("drafts/tiny-1/manifest.json")!.toString());
  const opened = await openEnvelope("manifest", envelope, trusted, draftManifestSchema);
  expect(opened).toMatchObject({ ok: true, value: { id: "tiny-1", lineage: { data: { files: 3 } } } });
  const { manifestSha256 } = await publisher.show("tiny-1");
  expect(await publisher.channels.read("tiny")).toEqual({
    target: "tiny",
    sequence: 1,
    current: { release: "tiny-1", manifest_sha256: manifestSha256 },
    canary: null,
    previous: null,
  });
});

test("publishing again changes nothing; other content under the same id is refused", async () => {
  await publisher.publishJob(makeDraftFolder("x"), "tiny-1");
  await publisher.publishJob(makeDraftFolder("x"), "tiny-1");
  expect(s3.writes).toHaveLength(3);
  expect((await publisher.channels.read("tiny"))?.sequence).toBe(1);
  const other = publisher.publishJob(makeDraftFolder("x", "other weights"), "tiny-1");
  await expect(other).rejects.toThrow("drafts/tiny-1/model.draft: exists with other content");
});

test("cut off before the manifest, nothing is released; publishing again completes it", async () => {
  s3.beforeWrite = (key) => {
    if (key.endsWith("manifest.json")) throw new Error("cut");
  };
  const folder = makeDraftFolder("x");
  await expect(publisher.publishJob(folder, "tiny-1")).rejects.toThrow(
    "cannot write drafts/tiny-1/manifest.json",
  );
  expect(await publisher.list()).toEqual([]);
  expect(await publisher.channels.read("tiny")).toBeNull();
  s3.beforeWrite = () => {};
  await publisher.publishJob(folder, "tiny-1");
  expect(await publisher.list()).toEqual(["tiny-1"]);
});

test("a damaged file is refused before anything is written", async () => {
  const folder = makeDraftFolder("x");
  writeFileSync(join(folder, "model.draft"), "weightz");
  await expect(publisher.publishJob(folder, "tiny-1")).rejects.toThrow(/model.draft: 7 bytes, sha256/);
  expect(s3.writes).toEqual([]);
});

test("an import becomes current only where the target has no release yet", async () => {
  expect(await publisher.importRelease(makeDraftFolder("shipped"))).toEqual({
    id: "shipped",
    promoted: true,
  });
  await publisher.publishJob(makeDraftFolder("x", "retrained"), "tiny-2");
  expect(await publisher.importRelease(makeDraftFolder("shipped"))).toEqual({
    id: "shipped",
    promoted: false,
  });
  const record = await publisher.channels.read("tiny");
  expect([record?.current.release, record?.previous?.release]).toEqual(["tiny-2", "shipped"]);
});

test("promote and rollback write new records", async () => {
  await publisher.importRelease(makeDraftFolder("one"));
  await publisher.importRelease(makeDraftFolder("two", "other"));
  expect(await publisher.promote("two")).toBe(true);
  expect(await publisher.promote("two")).toBe(false);
  await publisher.channels.rollback("tiny");
  const record = await publisher.channels.read("tiny");
  expect(record).toMatchObject({ sequence: 3, current: { release: "one" }, previous: { release: "two" } });
  await expect(publisher.promote("three")).rejects.toThrow(
    "drafts/three/manifest.json: there is no such release",
  );
});

test("a canary stands beside the current release until it is promoted, ended or rolled back", async () => {
  const { channels } = publisher;
  const release = async (id: string) => {
    await publisher.importRelease(makeDraftFolder(id, id));
    const { manifestSha256 } = await publisher.show(id);
    return { id, target: "tiny", manifestSha256 };
  };
  const standing = async () => {
    const { sequence, current, canary, previous } = (await channels.read("tiny"))!;
    return [sequence, current.release, canary && [canary.release, canary.share], previous?.release ?? null];
  };
  const nothing = { id: "none", target: "tiny", manifestSha256: "0".repeat(64) };
  await expect(channels.startCanary(nothing, 0.5)).rejects.toThrow("no current release");
  const one = await release("one");
  const two = await release("two");
  expect(await channels.startCanary(two, 0.1)).toBe(true);
  expect(await standing()).toEqual([2, "one", ["two", 0.1], null]);
  // What a restart does twice changes nothing.
  expect(await channels.startCanary(two, 0.1)).toBe(false);
  expect(await channels.startCanary(one, 0.1)).toBe(false);
  expect(await channels.startCanary(two, 0.5)).toBe(true);
  expect(await channels.endCanary("tiny", "three")).toBe(false);
  expect(await channels.endCanary("tiny", "two")).toBe(true);
  expect(await channels.endCanary("tiny")).toBe(false);
  expect(await standing()).toEqual([4, "one", null, null]);
  await channels.startCanary(two, 0.5);
  expect(await channels.promote(two)).toBe(true);
  expect(await standing()).toEqual([6, "two", null, "one"]);
  await channels.startCanary(one, 1);
  await channels.rollback("tiny");
  expect(await standing()).toEqual([8, "one", null, "two"]);
  await expect(channels.startCanary(two, 0)).rejects.toThrow("share 0: must be above 0 and at most 1");
});

test("a writer that was too slow reads again and builds on the faster one's record", async () => {
  await publisher.importRelease(makeDraftFolder("one"));
  const rival = await open();
  edge.beforePut = async () => {
    edge.beforePut = () => {};
    await rival.publishJob(makeDraftFolder("x", "rival"), "rival");
  };
  await publisher.publishJob(makeDraftFolder("x", "mine"), "mine");
  rival.close();
  const record = await publisher.channels.read("tiny");
  expect(record).toMatchObject({ sequence: 3, current: { release: "mine" }, previous: { release: "rival" } });
});

test("an edge that restarts is waited for", async () => {
  edge.outages = 2;
  await publisher.importRelease(makeDraftFolder("one"));
  expect((await publisher.channels.read("tiny"))?.sequence).toBe(1);
});

test("what the edge refuses is told with its own words", async () => {
  edge.trusted.splice(0);
  await expect(publisher.importRelease(makeDraftFolder("one"))).rejects.toThrow(
    /channel tiny: the edge answered 403: channel: signed by key [0-9a-f]{16}, which is not trusted/,
  );
});

test("the private key is for its owner alone, and the same at the next start", async () => {
  const first = await openSigningKeys(keysFolder);
  expect(statSync(join(keysFolder, "signing.json")).mode & 0o777).toBe(0o600);
  expect((await openSigningKeys(keysFolder)).id).toBe(first.id);
  expect(readFileSync(join(keysFolder, "trusted.json"), "utf8")).not.toContain("private");
});

test("two processes that make the first key at once end with the same one", async () => {
  const folder = join(temporaryFolder(), "keys");
  const opened = await Promise.all([
    openSigningKeys(folder),
    openSigningKeys(folder),
    openSigningKeys(folder),
  ]);
  expect(new Set(opened.map((keys) => keys.id)).size).toBe(1);
});

test("after a rotation old releases stay trusted until their key is revoked", async () => {
  await publisher.importRelease(makeDraftFolder("old"));
  const oldKey = (await openSigningKeys(keysFolder)).id;
  await expect(revokeKey(keysFolder, oldKey)).rejects.toThrow("signs now: rotate first");
  const newKey = await rotateSigningKey(keysFolder);
  publisher.close();
  publisher = await open();
  await publisher.publishJob(makeDraftFolder("x", "new"), "new");
  expect([(await publisher.show("old")).keyId, (await publisher.show("new")).keyId]).toEqual([
    oldKey,
    newKey,
  ]);
  // The same release again, now signed by another key, is still the same release.
  await publisher.importRelease(makeDraftFolder("old"));
  await revokeKey(keysFolder, oldKey);
  publisher.close();
  publisher = await open();
  await expect(publisher.show("old")).rejects.toThrow(`signed by key ${oldKey}, which is not trusted`);
  expect((await publisher.show("new")).keyId).toBe(newKey);
});

test("a channel whose record a revoked key has signed can be moved on", async () => {
  await publisher.importRelease(makeDraftFolder("old"));
  const oldKey = (await openSigningKeys(keysFolder)).id;
  await rotateSigningKey(keysFolder);
  await revokeKey(keysFolder, oldKey);
  publisher.close();
  publisher = await open();
  await expect(publisher.channels.read("tiny")).rejects.toThrow(
    `signed by key ${oldKey}, which is not trusted`,
  );
  await expect(publisher.channels.rollback("tiny")).rejects.toThrow(oldKey);
  await publisher.publishJob(makeDraftFolder("x", "new"), "new");
  expect(await publisher.channels.read("tiny")).toMatchObject({
    sequence: 2,
    current: { release: "new" },
    previous: null,
  });
});

test("a target's text assets are published with its template and special tokens", async () => {
  const folder = join(temporaryFolder(), "tiny");
  mkdirSync(folder);
  const tokenizer = '{"model":{}}';
  const { createHash } = await import("node:crypto");
  const digest = createHash("sha256").update(tokenizer).digest("hex");
  const manifest = {
    format_version: 1,
    kind: "target",
    id: "tiny",
    tokenizer_sha256: digest,
    vocab_size: 512,
  };
  writeFileSync(join(folder, "tokenizer.json"), tokenizer);
  writeFileSync(
    join(folder, "manifest.json"),
    JSON.stringify({ ...manifest, context: 256, bos_id: null, eos_ids: [0] }),
  );
  writeFileSync(
    join(folder, "tokenizer_config.json"),
    JSON.stringify({ bos_token: "<s>", eos_token: { content: "</s>" }, chat_template: "{{ messages }}" }),
  );
  expect(await publisher.importTarget(folder)).toBe("tiny");
  expect(s3.writes.at(-1)).toBe("targets/tiny/manifest.json");
  const { trusted } = await openSigningKeys(keysFolder);
  const envelope: unknown = JSON.parse(s3.objects.get("targets/tiny/manifest.json")!.toString());
  expect(await openEnvelope("manifest", envelope, trusted, targetManifestSchema)).toMatchObject({
    ok: true,
    value: {
      chat_template: "{{ messages }}",
      special: { bos_token: "<s>", eos_token: "</s>" },
      eos_ids: [0],
    },
  });
  await publisher.importTarget(folder);
  expect(s3.writes).toHaveLength(3);
});

const problemsOf = async () =>
  (await publisher.verify("tiny")).flatMap(({ what, problems }) => problems.map((p) => `${what}: ${p}`));

test("verify: what is published is whole, and every kind of damage is named", async () => {
  for (const id of ["one", "two", "three"]) await publisher.publishJob(makeDraftFolder("x", id), id);
  expect(await publisher.verify("tiny")).toEqual(
    ["release one", "release three", "release two", "channel tiny"].map((what) => ({ what, problems: [] })),
  );
  s3.objects.delete("drafts/one/tokenizer.json");
  s3.objects.set("drafts/two/model.draft", Buffer.from("damaged"));
  s3.objects.set("drafts/cut-off/model.draft", Buffer.from("weights"));
  s3.objects.set("drafts/forged/manifest.json", Buffer.from("{}"));
  expect(await problemsOf()).toEqual([
    "release cut-off: has no manifest: it was never published whole (gc removes it)",
    "release forged: manifest: not a signed envelope",
    "release one: tokenizer.json is missing",
    "release two: model.draft is not the file that its manifest names",
    "channel tiny: previous is two, which is not whole",
  ]);
  s3.objects.delete("drafts/three/manifest.json");
  expect(await problemsOf()).toContain("channel tiny: current is three, which is not whole");
});

test("verify: a manifest that was exchanged for another signed one does not pass for the channel's", async () => {
  await publisher.publishJob(makeDraftFolder("x", "one"), "one");
  await publisher.publishJob(makeDraftFolder("x", "two"), "two");
  s3.objects.set("drafts/two/manifest.json", s3.objects.get("drafts/one/manifest.json")!);
  const problems = await problemsOf();
  expect(problems[0]).toContain("release two: its manifest is that of one");
  expect(problems.at(-1)).toBe("channel tiny: current is two, which is not whole");
});

const DAY_MS = 86_400_000;
const collect = (isDryRun = false) =>
  publisher.collectGarbage({ nowMs: Date.now(), keepMs: 30 * DAY_MS, isDryRun });
const age = (id: string, days: number) => {
  for (const key of s3.objects.keys()) {
    if (key.startsWith(`drafts/${id}/`)) s3.modified.set(key, Date.now() - days * DAY_MS);
  }
};

test("gc removes old releases that no channel names, manifest first, and what never became one", async () => {
  for (const id of ["old", "young", "previous", "current"]) {
    await publisher.publishJob(makeDraftFolder("x", id), id);
  }
  s3.objects.set("drafts/cut-off/model.draft", Buffer.from("weights"));
  s3.objects.set("drafts/at-work/model.draft", Buffer.from("weights"));
  for (const id of ["old", "previous", "current"]) age(id, 40);
  age("cut-off", 2);
  const before = new Map(s3.objects);
  expect((await collect(true)).map(({ id }) => id)).toEqual(["cut-off", "old"]);
  expect(s3.objects).toEqual(before);
  expect(await collect()).toMatchObject([
    { id: "cut-off", why: "was never published whole", bytes: 7 },
    { id: "old", why: "is named by no channel and 40 days old" },
  ]);
  expect(s3.removals.filter((key) => key.includes("/old/"))[0]).toBe("drafts/old/manifest.json");
  expect(await publisher.list()).toEqual(["current", "previous", "young"]);
  expect([...s3.objects.keys()].filter((key) => /\/(old|cut-off)\//.test(key))).toEqual([]);
  expect(await problemsOf()).toEqual([
    "release at-work: has no manifest: it was never published whole (gc removes it)",
  ]);
  expect(await collect()).toEqual([]);
});

test("gc leaves whole what a channel comes to name while it is being removed", async () => {
  for (const id of ["old", "previous", "current"]) await publisher.publishJob(makeDraftFolder("x", id), id);
  age("old", 40);
  let hurry = async () => {
    hurry = async () => {};
    await publisher.promote("old");
  };
  s3.beforeRemoval = () => hurry();
  expect(await collect()).toEqual([]);
  expect((await publisher.channels.read("tiny"))?.current.release).toBe("old");
  expect(await problemsOf()).toEqual([]);
});

test("a channel that was moved to a release which is gone by then is moved back", async () => {
  for (const id of ["old", "previous", "current"]) await publisher.publishJob(makeDraftFolder("x", id), id);
  const { manifestSha256 } = await publisher.show("old");
  const old = { id: "old", target: "tiny", manifestSha256 };
  age("old", 40);
  expect(await collect()).toMatchObject([{ id: "old" }]);
  await expect(publisher.channels.promote(old)).rejects.toThrow("old is not in the bucket (any more)");
  await expect(publisher.channels.startCanary(old, 0.5)).rejects.toThrow(
    "old is not in the bucket (any more)",
  );
  expect(await publisher.channels.read("tiny")).toMatchObject({
    ...{ current: { release: "current" }, previous: { release: "previous" }, canary: null, sequence: 7 },
  });
});

test("gc removes nothing that a channel might name which cannot be read", async () => {
  await publisher.publishJob(makeDraftFolder("x", "old"), "old");
  age("old", 40);
  edge.trusted.splice(0);
  const stranger = await openPublisher({
    ...{
      S3_ENDPOINT: s3.endpoint,
      S3_ACCESS_KEY_ID: "id",
      S3_SECRET_ACCESS_KEY: "secret",
      S3_BUCKET: "releases",
    },
    ...{ EDGE_URL: edge.url, ADMIN_SECRET, KEYS_DIR: join(temporaryFolder(), "other-keys") },
  });
  const collecting = stranger.collectGarbage({ nowMs: Date.now(), keepMs: 0, isDryRun: false });
  await expect(collecting).rejects.toThrow("which is not trusted");
  stranger.close();
  expect(s3.removals).toEqual([]);
});
