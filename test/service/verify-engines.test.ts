import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { loadModel } from "../../gpu-service/verify/engines/onnx/model.ts";
import { openTarget } from "../../gpu-service/verify/engines/onnx/target.ts";
import { type Digests, firstDifference, plainRun, WAYS } from "../../infra/check/exactness.ts";
import { FORMATS } from "../../infra/models/pins.ts";
import { ensureTinyModel } from "../../infra/models/tiny-model.ts";
import { openDataFolder } from "../../infra/start/paths.ts";
import { honest } from "../support/hinters.ts";
import { LinkClient } from "../support/link-client.ts";
import { startVerifier } from "../support/verifier-process.ts";

const LENGTH = 480;
/** Elsewhere onnxruntime rounds a single row of int4 otherwise than several, and the verifier refuses it. */
const HAS_VNNI = process.platform !== "linux" || /vnni/.test(readFileSync("/proc/cpuinfo", "utf8"));

/** A sample of `npm run check:exact`. */
describe("logits are the same bits however rows are grouped", () => {
  it.each(FORMATS)("in %s, on one thread and on two", async (format) => {
    const folder = await ensureTinyModel(openDataFolder(), FORMATS);
    if (format === "int4" && !HAS_VNNI) {
      await expect(startVerifier(folder, { FORMAT: format })).rejects.toThrow(/self-test of tiny in int4/);
      return;
    }
    const target = await openTarget(folder, format);
    let expected: Digests | undefined;
    for (const threads of [1, 2]) {
      const options = { slots: 8, threads, context: 512, retainedBytes: 1 << 26 };
      const model = await loadModel(target, options);
      const ids = Array.from({ length: LENGTH }, (_, i) => (i * 7919 + 11) % model.vocabSize);
      expected ??= await plainRun(model, ids);
      for (const way of WAYS)
        expect(await firstDifference(model, ids, expected, way), `${threads}: ${way.name}`).toBeUndefined();
    }
  });
});

const prompt = (n: number) => Array.from({ length: 24 }, (_, i) => (i * 37 + n * 101) % 1024);

it("two workers give the texts of one, hints go to the right one, and both close", async () => {
  const folder = await ensureTinyModel(openDataFolder());
  const texts: number[][][] = [];
  for (const WORKERS of ["1", "2"]) {
    const verifier = await startVerifier(folder, { WORKERS, SLOTS: "2" }, 5);
    const client = await LinkClient.connect(verifier);
    const run = (n: number) => client.complete({ prompt: prompt(n) }, texts[0] && honest(24, texts[0][n]!));
    const done = await Promise.all([0, 1, 2, 3, 4, 5].map(run));
    texts.push(done.map(({ ids }) => ids));
    if (texts[1])
      for (const { end } of done)
        expect(end).toMatchObject({ type: "done", counts: { accepted: { memory: expect.anything() } } });
    client.close();
    expect(await verifier.stop()).toBe(0);
  }
  expect(texts[1]).toEqual(texts[0]);
});

describe("a paced verifier", () => {
  it("takes the pace's time for a step, gives the same text, and says that it is paced", async () => {
    const folder = await ensureTinyModel(openDataFolder());
    const temporary = mkdtempSync(join(tmpdir(), "pace-"));
    const PACE_FILE = join(temporary, "pace.json");
    writeFileSync(PACE_FILE, JSON.stringify({ label: "slow", dilation: 2, points: [{ rows: 1, ms: 10 }] }));
    const texts: number[][] = [];
    const settings: Record<string, string>[] = [{}, { PACE_FILE }];
    for (const env of settings) {
      const verifier = await startVerifier(folder, env);
      const client = await LinkClient.connect(verifier);
      const { ids, end } = await client.complete({ prompt: prompt(1), max_tokens: 20, drafts: false });
      texts.push(ids);
      const metrics = await (await fetch(`http://127.0.0.1:${verifier.port}/metrics`)).text();
      const isPaced = metrics.includes('outrider_verify_paced{label="slow"} 1');
      expect(isPaced).toBe("PACE_FILE" in env);
      if (isPaced && end.type === "done") expect(end.timings.decode_ms).toBeGreaterThan(19 * 20);
      client.close();
      await verifier.stop();
    }
    expect(texts[1]).toEqual(texts[0]);
    rmSync(temporary, { recursive: true });
  });

  it("does not start with a pace that is none", async () => {
    const folder = await ensureTinyModel(openDataFolder());
    await expect(startVerifier(folder, { PACE_FILE: join(folder, "tokenizer.json") })).rejects.toThrow();
  });
});
