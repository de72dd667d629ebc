/** The vLLM engine's side on Node, with a process that only speaks as vLLM's does. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { VerifierFrame } from "../../gpu-service/protocol/frames.ts";
import { readConfig } from "../../gpu-service/verify/config.ts";
import type { Engine, EngineTurn } from "../../gpu-service/verify/engines/engine.ts";
import { startVllmEngine } from "../../gpu-service/verify/engines/vllm/engine.ts";
import { parseMessage } from "../../gpu-service/verify/engines/vllm/messages.ts";
import { startVllm } from "../../gpu-service/verify/engines/vllm/start.ts";
import { openTarget } from "../../gpu-service/verify/engines/vllm/target.ts";
import { ROOT } from "../../infra/start/paths.ts";
import { startFrame } from "../support/sequences.ts";

const FAKE = join(ROOT, "test/support/fake-vllm.mjs");
const TINY = join(ROOT, "infra/models/tiny/target");

/** An engine with the fake behind it, and what it has said. */
async function start(way = "", more: { slots?: number; queueLimit?: number } = {}) {
  const frames: VerifierFrame[] = [];
  const turns: EngineTurn[] = [];
  let failed: string | undefined;
  const engine = await startVllmEngine(
    {
      folder: TINY,
      id: "tiny",
      python: FAKE,
      env: { ...process.env, FAKE_VLLM: way },
      slots: 2,
      context: 64,
      queueLimit: 4,
      queueTimeoutMs: 60_000,
      configuration: {},
      ...more,
    },
    {
      turn: (turn) => {
        turns.push(turn);
        frames.push(...turn.frames);
      },
      failed: (reason) => {
        failed = reason;
      },
    },
  );
  const of = (stream: number) => frames.filter((frame) => frame.stream === stream);
  const last = (stream: number) => of(stream).at(-1);
  const ended = (stream: number) =>
    expect.poll(() => last(stream)?.type, { timeout: 20_000 }).toMatch(/^(done|error)$/);
  return { engine, turns, of, last, ended, failed: () => failed };
}

describe("sequences", () => {
  let engine: Engine | undefined;
  afterAll(() => engine?.close());

  it("open, bring tokens, are hinted, and end with what hints were worth", async () => {
    const { engine, of, ended, turns } = await start();
    engine.send(startFrame(1, [1, 2, 3], { max_tokens: 20 }));
    engine.send({ type: "hint", stream: 1, path: 0, at: 3, ids: [4, 5, 6, 7], source: "model" });
    await ended(1);
    const [opened, ...rest] = of(1);
    expect(opened).toMatchObject({
      type: "opened",
      prompt_tokens: 3,
      cached_tokens: 2,
      limits: { context: 64 },
    });
    const tokens = rest.filter((frame) => frame.type === "tokens");
    expect(tokens.flatMap(({ ids }) => ids)).toEqual(Array.from({ length: 20 }, (_, i) => 4 + i));
    expect(tokens[0]!.at).toBe(3);
    const done = rest.at(-1)!;
    if (done.type !== "done") throw new Error("not done");
    const accepted = tokens.reduce((sum, frame) => sum + frame.accepted, 0);
    expect(done.counts.accepted.model?.reduce((a, b) => a + b, 0) ?? 0).toBe(accepted);
    expect(done.counts.steps).toBe(20 - accepted);
    expect(turns.at(-1)!.load).toEqual({ active: 0, queued: 0 });
    await engine.close();
  });

  it("wait for a slot, and leave it when they are cancelled", async () => {
    const { engine, of, ended, last, turns } = await start("", { slots: 1, queueLimit: 1 });
    engine.send(startFrame(1, [1], { max_tokens: 60 }));
    engine.send(startFrame(2, [1], { max_tokens: 2 }));
    engine.send(startFrame(3, [1], { max_tokens: 2 }));
    expect(last(3)).toMatchObject({ type: "error", code: "overloaded", retryable: true });
    expect(turns.at(-1)!.load).toEqual({ active: 1, queued: 1 });
    expect(of(2)).toEqual([]);
    engine.send({ type: "cancel", stream: 1 });
    expect(last(1)).toMatchObject({ type: "done", reason: "cancelled" });
    await ended(2);
    expect(last(2)).toMatchObject({ type: "done", reason: "length" });
    const before = of(1).length;
    await engine.close();
    expect(of(1)).toHaveLength(before);
  });

  it("end at the earliest stop inside a block, and at ids that are confirmed to their end", async () => {
    const { engine, of, ended, last } = await start();
    engine.send(startFrame(1, [1, 2, 3], { max_tokens: 20, stop_ids: [7] }));
    await ended(1);
    expect(last(1)).toMatchObject({ type: "done", reason: "stop" });
    expect(of(1).flatMap((frame) => (frame.type === "tokens" ? frame.ids : []))).toEqual([4, 5, 6, 7]);
    const { numerics } = engine.info;
    engine.send(startFrame(2, [1], { max_tokens: 2, confirmed: [2, 3], numerics }));
    expect(of(2).map(({ type }) => type)).toEqual(["opened", "done"]);
    await engine.close();
  });

  it("that the process refuses are refused", async () => {
    const { engine, ended, last, turns } = await start("refuses");
    engine.send(startFrame(1, [1]));
    await ended(1);
    expect(last(1)).toMatchObject({ type: "error", code: "internal", message: "vllm: not for t" });
    expect(turns.at(-1)!.load.active).toBe(0);
    await engine.close();
  });
});

describe("a process", () => {
  it.each([
    ["fails", "no such model"],
    ["", "cannot be read"],
  ])("that does not start (%s) says why", async (way, reason) => {
    const folder = way === "" ? "/nonexistent" : TINY;
    const options = { folder, id: "x", python: FAKE, env: { ...process.env, FAKE_VLLM: way } };
    const bounds = { slots: 1, context: 64, queueLimit: 1, queueTimeoutMs: 1000, configuration: {} };
    const started = startVllmEngine({ ...options, ...bounds }, { turn: () => {}, failed: () => {} });
    await expect(started).rejects.toThrow(reason);
  });

  it.each(["dies", "babbles"])("that %s is reported once", async (way) => {
    const { engine, failed } = await start(way);
    engine.send(startFrame(1, [1]));
    await expect.poll(failed, { timeout: 20_000 }).toMatch(way === "dies" ? /ended \(9\)/ : /said no JSON/);
    await engine.close();
  });

  it("copies share sequences between them", async () => {
    const config = readConfig({
      LINK_KEYS: JSON.stringify([{ id: "a", secret: "s".repeat(32) }]),
      ENGINE: "vllm",
      TARGET_DIR: TINY,
      TARGET_ID: "tiny",
      VLLM_PYTHON: FAKE,
      DATA_PARALLEL: "2",
      VLLM_DEVICES: "3,5",
      SLOTS: "1",
    });
    expect(config.vllm.devices).toEqual(["3", "5"]);
    const loads: number[] = [];
    const pool = await startVllm(config, process.env, {
      turn: ({ load }) => loads.push(load.active),
      failed: () => {},
    });
    for (const stream of [1, 2]) pool.send(startFrame(stream, [1, 2], { max_tokens: 40 }));
    await expect.poll(() => Math.max(0, ...loads), { timeout: 20_000 }).toBe(2);
    await pool.close();
  });
});

describe("a target's folder", () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "target-"));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it("is a Hugging Face folder, and has its name unless it is given one", async () => {
    expect(await openTarget(TINY)).toMatchObject({ id: "target", folder: TINY, context: 512 });
    expect((await openTarget(`${TINY}/`, "tiny")).id).toBe("tiny");
  });

  it("without a tokenizer, or with a broken configuration, is refused by name", async () => {
    writeFileSync(join(folder, "config.json"), JSON.stringify({ vocab_size: 10 }));
    await expect(openTarget(folder)).rejects.toThrow("tokenizer.json: missing");
    writeFileSync(join(folder, "config.json"), JSON.stringify({ vocab_size: "many" }));
    await expect(openTarget(folder)).rejects.toThrow("config.json: vocab_size");
    writeFileSync(join(folder, "config.json"), "{");
    await expect(openTarget(folder)).rejects.toThrow("config.json: not JSON");
  });
});

describe("its configuration", () => {
  const base = { LINK_KEYS: JSON.stringify([{ id: "a", secret: "s".repeat(32) }]), TARGET_DIR: "x" };
  it.each<[Record<string, string>, RegExp]>([
    [{ ENGINE: "other" }, /ENGINE/],
    [{ SLOTS: "9" }, /SLOTS: must be at most 8 with ENGINE=onnx/],
    [{ ENGINE: "vllm", PACE_FILE: "p" }, /PACE_FILE: paces ENGINE=onnx only/],
    [
      { ENGINE: "vllm", VLLM_DEVICES: "0,1", TENSOR_PARALLEL: "4" },
      /VLLM_DEVICES: names 2 GPUs, but 1 copies of 4/,
    ],
    [{ ENGINE: "vllm", VLLM_DEVICES: "0", VLLM_EXECUTOR: "ray" }, /VLLM_DEVICES: is not for/],
    [{ ENGINE: "vllm", VLLM_DEVICES: "first" }, /VLLM_DEVICES: must be a list/],
    [{ ENGINE: "vllm", TENSOR_PARALLEL: "0" }, /TENSOR_PARALLEL/],
  ])("%o is refused", (env, message) => {
    expect(() => readConfig({ ...base, ...env })).toThrow(message);
  });

  it("of vLLM may have many slots", () => {
    expect(readConfig({ ...base, ENGINE: "vllm", SLOTS: "256" }).slots).toBe(256);
  });
});

it("what the process says is parsed", () => {
  expect(parseMessage('{"type":"opened","stream":1,"cached":3}')).toEqual({
    type: "opened",
    stream: 1,
    cached: 3,
  });
  for (const line of ["", "{", '{"type":"other"}', '{"type":"opened","stream":1}'])
    expect(() => parseMessage(line)).toThrow("vllm: the process said");
});
