import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { type TrafficLine, tombstoneKey, trafficKey } from "../../gpu-service/protocol/traffic.ts";
import { linesOf } from "../../gpu-service/training/traffic/batch.ts";
import { fetchInputs, holdsDeleted, type InputsWish } from "../../gpu-service/training/traffic/inputs.ts";
import { jobEntry, openService, recipeOf, untilJob } from "../support/training.ts";
import { prepareFolder, temporaryFolder } from "../support/training-folder.ts";

const [ANNA, BERT] = ["a".repeat(32), "b".repeat(32)];
const SPAN = { since: "2026-01-01T06:00:00.000Z", until: "2026-01-02T06:00:00.000Z" };
const WISH: InputsWish = { target: "tiny", traffic: SPAN, parent: null };

const line = (time: string, target = "tiny"): TrafficLine => ({
  id: crypto.randomUUID(),
  time: `2026-01-0${time}:00.000Z`,
  release: "first",
  target,
  prompt: [1, 2],
  output: [3],
  sampling: { temperature: 0, seed: "1" } as TrafficLine["sampling"],
  drafted: null,
  accepted: null,
});
const batch = (...lines: unknown[]) => gzipSync(lines.map((l) => `${JSON.stringify(l)}\n`).join(""));

function bucketOf(objects: Record<string, Uint8Array>) {
  const stored = new Map(Object.entries(objects));
  const said: string[] = [];
  let reads = 0;
  const bucket = {
    list: async (prefix: string) => [...stored.keys()].filter((key) => key.startsWith(prefix)).sort(),
    read: async (key: string) => {
      reads++;
      return stored.get(key) ?? null;
    },
  };
  const files = { "model.draft": Uint8Array.of(7), "tokenizer.json": Uint8Array.of(8) };
  const release = async () => ({ target: "tiny", files });
  return {
    parts: { bucket, release, say: (text: string) => said.push(text) },
    stored,
    said,
    reads: () => reads,
  };
}

/** Times of the copied lines, by subject. */
async function copied(objects: Record<string, Uint8Array>) {
  const there = bucketOf(objects);
  const folder = temporaryFolder();
  const { traffic } = await fetchInputs(there.parts, WISH, folder);
  const times = (subject: string, file: string) =>
    linesOf(readFileSync(join(traffic!, subject, file)), () => true)?.map(({ time }) => time.slice(8, 16));
  return { ...there, folder, traffic: traffic!, times };
}

test("requests of the target and the time are copied, by subject; what is no batch or no request is left out", async () => {
  const { times, traffic, said } = await copied({
    [trafficKey("2026-01-01", ANNA, "1")]: batch(line("1T05:59"), line("1T06:00"), line("1T07:00", "other"), {
      no: 1,
    }),
    [trafficKey("2026-01-03", ANNA, "2")]: batch(line("2T05:59"), line("2T06:00")),
    [trafficKey("2026-01-02", BERT, "3")]: batch(line("2T07:00")),
    [trafficKey("2026-01-02", BERT, "4")]: Uint8Array.of(1, 2, 3),
    [trafficKey("2026-01-05", ANNA, "5")]: batch(line("1T06:00")),
    "traffic/2026-01-01/notes.txt": Uint8Array.of(1),
  });
  expect(times(ANNA, "2026-01-01-1.ndjson.gz")).toEqual(["01T06:00"]);
  expect(times(ANNA, "2026-01-03-2.ndjson.gz")).toEqual(["02T05:59"]);
  expect(existsSync(join(traffic, BERT))).toBe(false);
  expect(said).toEqual([
    `traffic/2026-01-02/${BERT}/4.ndjson.gz is no batch of traffic: left out`,
    `2 captured requests of ${SPAN.since} to ${SPAN.until}`,
  ]);
});

test("deleted subjects are not copied, and a copy that holds one says so", async () => {
  const objects = {
    [trafficKey("2026-01-01", ANNA, "1")]: batch(line("1T07:00")),
    [trafficKey("2026-01-01", BERT, "2")]: batch(line("1T08:00")),
  };
  const { traffic, parts, folder, stored } = await copied({
    ...objects,
    [tombstoneKey(BERT)]: Uint8Array.of(),
  });
  expect(existsSync(join(traffic, BERT))).toBe(false);
  expect(await holdsDeleted(parts.bucket, folder)).toBe(false);
  stored.set(tombstoneKey(ANNA), Uint8Array.of());
  expect(await holdsDeleted(parts.bucket, folder)).toBe(true);
  expect(await holdsDeleted(parts.bucket, temporaryFolder())).toBe(false);
});

test("a copy that was made whole is not made again; one that was cut off is", async () => {
  const { parts, folder, reads } = await copied({
    [trafficKey("2026-01-01", ANNA, "1")]: batch(line("1T07:00")),
  });
  const before = reads();
  await fetchInputs(parts, WISH, folder);
  expect(reads()).toBe(before);
  const broken = { ...parts, bucket: { ...parts.bucket, read: () => Promise.reject(new Error("cut off")) } };
  const other = temporaryFolder();
  await expect(fetchInputs(broken, WISH, other)).rejects.toThrow("cut off");
  const { traffic } = await fetchInputs(parts, WISH, other);
  expect(existsSync(join(traffic!, ANNA))).toBe(true);
});

test("the parent's folder is named by its id; one for another target is refused", async () => {
  const { parts } = bucketOf({});
  const folder = temporaryFolder();
  const wish = { target: "tiny", traffic: null, parent: "first" };
  expect(await fetchInputs(parts, wish, folder)).toEqual({ parent: join(folder, "parent", "first") });
  expect([...readFileSync(join(folder, "parent/first/model.draft"))]).toEqual([7]);
  await expect(fetchInputs(parts, { ...wish, target: "other" }, temporaryFolder())).rejects.toThrow(
    "parent first: drafts for tiny, not for other",
  );
});

test("a job that learnt from traffic that was deleted meanwhile is trained anew before anything is published", async () => {
  const folder = prepareFolder({ fake: { steps: 1 } });
  const published: string[] = [];
  let asked = 0;
  const { store, runner } = openService(folder, {
    inputs: { fetch: async () => ({}), isStale: async () => asked++ === 0 },
    publish: async (job) => void published.push(job.release),
  });
  store.add(jobEntry("j", { recipe: recipeOf("fake"), traffic: SPAN }));
  runner.start();
  const job = await untilJob(store, "j");
  await runner.close();
  expect(job).toMatchObject({ state: "succeeded", error: null });
  expect([asked, published]).toEqual([2, ["release-j"]]);
  // Both times from its first step.
  expect(readFileSync(join(folder, "jobs/j/starts"), "utf8")).toBe("0\n0\n");
});
