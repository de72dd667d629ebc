import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { CONVERTER_VERSION, DEFAULT_PACKAGE } from "../../../infra/models/pins.ts";
import { isWhole, listTargets } from "../../../infra/models/target-folder.ts";
import { ensureTinyModel } from "../../../infra/models/tiny-model.ts";
import { openDataFolder, ROOT } from "../../../infra/start/paths.ts";

const SOURCE = { name: "model.gguf", sha256: "a".repeat(64) };
const digest = (text: string) => createHash("sha256").update(text).digest("hex");

let models: string;
let folder: string;
beforeEach(() => {
  models = mkdtempSync(join(tmpdir(), "outrider-models-"));
  folder = join(models, "small");
  writeTarget({});
});
afterEach(() => rmSync(models, { recursive: true, force: true }));

/** A folder as the converter leaves it, with one small file of weights. */
function writeTarget(changes: Record<string, unknown>): void {
  mkdirSync(join(folder, "int8"), { recursive: true });
  writeFileSync(join(folder, "int8/weights.bin"), "weights");
  writeFileSync(join(folder, "tokenizer.json"), "{}");
  const files = { "weights.bin": { sha256: digest("weights"), bytes: 7 } };
  const manifest = {
    kind: "target",
    id: "small",
    converter_version: CONVERTER_VERSION,
    tokenizer_sha256: digest("{}"),
    ...{ layers: 1, hidden: 32, vocab_size: 260, context: 64 },
    formats: { int8: { files } },
    source: { kind: "gguf", name: "Small", files: { [SOURCE.name]: SOURCE.sha256 } },
    ...changes,
  };
  writeFileSync(join(folder, "manifest.json"), JSON.stringify(manifest));
}

describe("a converted target", () => {
  it("is whole when every byte is as its manifest says", async () => {
    expect(await isWhole(folder, ["int8"], SOURCE)).toBe(true);
    expect(listTargets(models).map(({ id }) => id)).toEqual(["small"]);
  });

  it.each<[string, () => void]>([
    ["a weight differs", () => writeFileSync(join(folder, "int8/weights.bin"), "weighty")],
    ["a file is cut short", () => writeFileSync(join(folder, "int8/weights.bin"), "weigh")],
    ["a file is gone", () => rmSync(join(folder, "int8/weights.bin"))],
    ["the tokenizer differs", () => writeFileSync(join(folder, "tokenizer.json"), "[]")],
    ["the manifest is cut short", () => writeFileSync(join(folder, "manifest.json"), '{"kind":')],
    ["another converter made it", () => writeTarget({ converter_version: CONVERTER_VERSION + 1 })],
    ["it states no file", () => writeTarget({ formats: { int8: { files: {} } } })],
  ])("is not whole when %s", async (_, damage) => {
    damage();
    expect(await isWhole(folder, ["int8"], SOURCE)).toBe(false);
  });

  it("is not whole for another source or a format that it lacks", async () => {
    expect(await isWhole(folder, ["int8"], { ...SOURCE, sha256: "b".repeat(64) })).toBe(false);
    expect(await isWhole(folder, ["int8", "fp32"], SOURCE)).toBe(false);
  });
});

describe("the pins", () => {
  it("name the converter's own version", () => {
    const python = readFileSync(join(ROOT, "gpu-service/training/trainer/checkpoints/manifest.py"), "utf8");
    expect(/^CONVERTER_VERSION = (\d+)/m.exec(python)?.[1]).toBe(String(CONVERTER_VERSION));
  });

  it("fix the default target's package by its hash", () => {
    const pin = readFileSync(join(ROOT, "infra/models/default-target.txt"), "utf8");
    expect(pin).toMatch(new RegExp(`^${DEFAULT_PACKAGE}==\\S+ --hash=sha256:[0-9a-f]{64}$`, "m"));
  });
});

describe("the tiny target", () => {
  it("is copied once, and again when it was damaged", async () => {
    const data = openDataFolder(join(models, "data"));
    const tiny = await ensureTinyModel(data);
    const weights = join(tiny, "int8/weights.bin");
    const inode = statSync(weights).ino;
    expect(await ensureTinyModel(data)).toBe(tiny);
    expect(statSync(weights).ino).toBe(inode);
    writeFileSync(weights, "damaged");
    await ensureTinyModel(data);
    expect(readFileSync(weights)).toEqual(
      readFileSync(join(ROOT, "infra/models/tiny/converted/int8/weights.bin")),
    );
  });
});
