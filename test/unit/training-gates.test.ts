/** The gates before publishing, each with a candidate that passes and one that must not. */
import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { askGates, GatesError, refusal } from "../../gpu-service/training/gates/gates.ts";
import { type Candidate, openCandidate } from "../../infra/gates/candidate.ts";
import { compare, type Foreseen, MARGIN } from "../../infra/gates/comparison.ts";
import { goldenGate } from "../../infra/gates/golden.ts";
import { leakGate } from "../../infra/gates/leaks.ts";
import { memoryGate } from "../../infra/gates/memory.ts";
import golden from "../cases/draft-golden.json" with { type: "json" };
import { sha256 } from "../support/draft-engine.ts";
import { makeDraftFolder } from "../support/draft-folder.ts";
import { temporaryFolder } from "../support/training-folder.ts";

const SHIPPED = join(import.meta.dirname, "../../infra/models/tiny/draft");
let shipped: Candidate;
beforeAll(async () => {
  shipped = (await openCandidate(SHIPPED)).candidate!;
});

/** A copy of the shipped draft with its image changed, and a manifest that says so, or does not. */
function poisoned(change: (image: Buffer) => Buffer, isTold = true): string {
  const folder = join(temporaryFolder(), "out");
  cpSync(SHIPPED, folder, { recursive: true });
  const image = change(readFileSync(join(SHIPPED, "model.draft")));
  writeFileSync(join(folder, "model.draft"), image);
  if (isTold) {
    const path = join(folder, "manifest.unsigned.json");
    const manifest = JSON.parse(readFileSync(path, "utf8"));
    manifest.files["model.draft"] = { sha256: sha256(image), bytes: image.length };
    writeFileSync(path, JSON.stringify(manifest));
  }
  return folder;
}

test("image: what loads in the kernel passes; cut off, damaged or exchanged images do not", async () => {
  expect((await openCandidate(SHIPPED)).gate).toMatchObject({ gate: "image", passed: true });
  const bad: [string, string][] = [
    [poisoned((image) => image.subarray(0, image.length - 64)), "model.draft: "],
    [poisoned((image) => image.fill(0, 0, 16)), "model.draft: "],
    [poisoned((image) => image.fill(1, 100_000), false), "is not the file that its manifest names"],
  ];
  for (const [folder, message] of bad) {
    const { gate, candidate } = await openCandidate(folder);
    expect(gate).toMatchObject({ gate: "image", passed: false });
    expect(gate.message).toContain(message);
    expect(candidate).toBeUndefined();
  }
});

test("memory: linear memory alone, and with the tokenizer, against a worker's budget", async () => {
  expect(await memoryGate(shipped)).toMatchObject({ passed: true });
  expect(await memoryGate({ ...shipped, memoryBytes: 93_000_000 })).toMatchObject({ passed: false });
});

test("golden: the kernel's logits are PyTorch's; those of an image with other weights are not", async () => {
  expect(await goldenGate(shipped, golden)).toMatchObject({ gate: "golden", passed: true });
  // The first quarter of the image is the embedding: other weights there, and nothing fits any more.
  const other = await openCandidate(poisoned((image) => image.fill(0x11, 20_000, 60_000)));
  expect(other.gate.passed).toBe(true);
  expect(await goldenGate(other.candidate!, golden)).toMatchObject({ passed: false });
});

const NO_LEAKS = { documents: 0, prompts: 0, responses: 0, texts: 5_000, examples: [] };
test.each([
  [{}, true],
  [{ responses: 5 }, true],
  [{ responses: 6 }, false],
  [{ prompts: 1 }, false],
  [{ documents: 1 }, false],
])("leaks: %j", (found, passed) => {
  expect(leakGate({ ...NO_LEAKS, ...found }).passed).toBe(passed);
});
test("leaks: examples are told", () => {
  expect(leakGate({ ...NO_LEAKS, prompts: 1, examples: ["texts: text 7 (prompt)"] }).message).toContain(
    "text 7",
  );
});

/** Texts of 50 ids; `by` says how many more of the text's ids the candidate foresees. */
const texts = (count: number, by: (text: number) => number): Foreseen[] =>
  Array.from({ length: count }, (_, i) => ({ ids: 50, current: 25, candidate: 25 + by(i) }));

test.each<[string, Foreseen[], boolean]>([
  ["the same draft", texts(10, () => 0), true],
  ["better everywhere", texts(10, () => 5), true],
  ["a little worse everywhere", texts(40, () => -1), true],
  ["worse everywhere, beyond the margin", texts(40, () => -2), false],
  ["as good on average, over many texts", texts(100, (i) => (i % 2 ? 3 : -3)), true],
  ["as good on average, but over too few texts to say so", texts(6, (i) => (i % 2 ? 8 : -8)), false],
  ["much better on a few, worse on most", texts(40, (i) => (i % 10 ? -4 : 20)), false],
])("acceptance: %s", (_name, counts, isNoWorse) => {
  expect(compare(counts).isNoWorse).toBe(isNoWorse);
});

test("acceptance: the error is that of texts, not of ids, and long texts count for more", () => {
  const found = compare([
    { ids: 100, current: 50, candidate: 60 },
    { ids: 300, current: 150, candidate: 150 },
  ]);
  expect(found).toMatchObject({ candidate: 0.525, current: 0.5 });
  expect(found.difference).toBeCloseTo(0.025, 12);
  // Residuals 10 - 2.5 and 0 - 7.5: sqrt(2 × 112.5) / 400 = 0.0375; times 1.645.
  expect(found.lowest).toBeCloseTo(0.025 - 1.645 * 0.0375, 12);
  expect(MARGIN).toBeLessThan(0.05);
});

const GATE = { gate: "image", passed: true, message: "loads", figures: {} };
const TELL = { log: () => {}, signal: new AbortController().signal };

function partsAround(program: string) {
  const folder = temporaryFolder();
  writeFileSync(join(folder, "gates.mjs"), program);
  const task = {
    ...{ recipe: join(folder, "recipe.json"), work: join(folder, "work"), out: makeDraftFolder("candidate") },
    ...{ events: join(folder, "events"), log: join(folder, "log") },
  };
  mkdirSync(task.work);
  const parts = {
    program: join(folder, "gates.mjs"),
    environment: { VERIFIER_URL: "ws://verifier", LINK_KEY_ID: "k", LINK_SECRET: "of the link" },
    trainer: { project: folder, modelsRoot: folder, python: async () => "python" },
    fetchCurrent: async () => "old-release" as string | null,
  };
  return { parts, task };
}
const writing = (verdict: string) => `
  import { readFileSync, writeFileSync } from "node:fs";
  const request = JSON.parse(readFileSync(process.argv[2], "utf8"));
  writeFileSync(request.folder + "/gates.json", ${verdict});`;

test("the program is told what to compare with and how to reach a verifier, and no other secret", async () => {
  process.env.ADMIN_SECRET = "not for gates";
  const told = `JSON.stringify([{ ...${JSON.stringify(GATE)}, message: [request.current?.release ?? "none",
    process.env.VERIFIER_URL, process.env.LINK_SECRET, process.env.ADMIN_SECRET].join() }])`;
  const { parts, task } = partsAround(writing(told));
  const [gate] = await askGates(parts, task, TELL);
  expect(gate?.message).toBe("old-release,ws://verifier,of the link,");
  const [first] = await askGates({ ...parts, fetchCurrent: async () => null }, task, TELL);
  expect(first?.message).toContain("none");
  delete process.env.ADMIN_SECRET;
});

test.each([
  ["throw new Error('no verifier answers at ws://x')", "no verifier answers at ws://x"],
  ["process.exit(3)", "it said nothing"],
  ["", "left no verdict"],
  [writing("'[]'"), "left no verdict"],
])("gates that cannot be asked say nothing about the candidate: %s", async (program, message) => {
  const { parts, task } = partsAround(program);
  const asked = askGates(parts, task, TELL);
  await expect(asked).rejects.toThrow(GatesError);
  await expect(asked).rejects.toThrow(message);
});

test("what keeps a candidate back is told gate by gate", () => {
  const failed = [
    { ...GATE, passed: false, gate: "golden", message: "differs" },
    { ...GATE, passed: false, gate: "leaks", message: "a prompt" },
  ];
  expect(refusal([GATE])).toBeNull();
  expect(refusal([GATE, ...failed])).toBe("not published: golden: differs; leaks: a prompt");
});
