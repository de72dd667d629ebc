import { describe, expect, it } from "vitest";
import type { Engine, EngineInput, EngineListener } from "../../gpu-service/verify/engines/engine.ts";
import { EnginePool } from "../../gpu-service/verify/engines/pool.ts";
import { startFrame } from "../support/sequences.ts";

const LOAD = { active: 0, queued: 0 };

class FakeEngine implements Engine {
  readonly info;
  readonly inputs: EngineInput[] = [];
  readonly listener: EngineListener;
  isClosed = false;
  constructor(listener: EngineListener, numerics = "n") {
    this.listener = listener;
    this.info = { target: "m", tokenizer: "t", numerics, vocabSize: 10, context: 100 };
  }
  get streams(): number[] {
    return this.inputs.map(({ stream }) => stream);
  }
  send(input: EngineInput): void {
    this.inputs.push(input);
  }
  end(stream: number, load = LOAD): void {
    const error = { type: "error", stream, code: "overloaded", message: "", retryable: true } as const;
    this.listener.turn({ frames: [error], report: undefined, load, overrunMs: 0 });
  }
  async close(): Promise<void> {
    this.isClosed = true;
  }
}

const silent: EngineListener = { turn: () => {}, failed: () => {} };
const poolOf = (count: number, listener = silent) =>
  EnginePool.start(count, async (own) => new FakeEngine(own), listener);
const start = (stream: number, prompt = [stream]) => startFrame(stream, prompt);

describe("a pool of engines", () => {
  it("gives a new sequence to the one with fewest", async () => {
    const pool = await poolOf(3);
    for (let stream = 1; stream <= 6; stream++) pool.send(start(stream));
    expect(pool.engines.map((e) => e.streams.length)).toEqual([2, 2, 2]);
    const [first] = pool.engines;
    for (const stream of first!.streams) first!.end(stream);
    for (let stream = 7; stream <= 8; stream++) pool.send(start(stream));
    expect(first!.streams.slice(2)).toEqual([7, 8]);
  });

  it("sends all else where the sequence began, and nothing of those that ended", async () => {
    const pool = await poolOf(2);
    pool.send(start(1));
    pool.send(start(2));
    for (const stream of [1, 2])
      pool.send({ type: "hint", stream, path: 0, at: 1, ids: [3], source: "model" });
    for (const engine of pool.engines) {
      const [stream] = engine.streams;
      expect(engine.streams).toEqual([stream, stream]);
      engine.end(stream!);
      pool.send({ type: "cancel", stream: stream! });
      expect(engine.inputs).toHaveLength(2);
    }
  });

  it("brings prompts of one tenant that begin alike together while that costs no balance", async () => {
    const pool = await poolOf(4);
    const begin = Array.from({ length: 40 }, (_, i) => i);
    const homes = new Set<FakeEngine>();
    for (let stream = 1; stream <= 20; stream++) {
      pool.send(start(stream, [...begin, stream]));
      const home = pool.engines.find((e) => e.streams.includes(stream))!;
      homes.add(home);
      home.end(stream);
    }
    expect(homes.size).toBe(1);
    pool.send(start(21, begin));
    pool.send(start(22, begin));
    expect(pool.engines.filter((e) => e.streams.some((s) => s > 20))).toHaveLength(2);
  });

  it("spreads different prompts that come one at a time", async () => {
    const pool = await poolOf(4);
    for (let stream = 1; stream <= 64; stream++) {
      pool.send(start(stream, [stream % 10, stream]));
      pool.engines.find((e) => e.streams.includes(stream))!.end(stream);
    }
    for (const engine of pool.engines) expect(engine.streams.length).toBeGreaterThan(4);
  });

  it("reports what all of them have to do", async () => {
    const loads: unknown[] = [];
    const pool = await poolOf(2, { ...silent, turn: ({ load }) => loads.push(load) });
    pool.engines[0]!.end(1, { active: 4, queued: 2 });
    pool.engines[1]!.end(2, { active: 3, queued: 0 });
    expect(loads.at(-1)).toEqual({ active: 7, queued: 2 });
  });

  it("closes those that run when one cannot start", async () => {
    const started: FakeEngine[] = [];
    const startOne = async (own: EngineListener) => {
      if (started.length === 2) throw new Error("no memory");
      started.push(new FakeEngine(own));
      return started.at(-1)!;
    };
    await expect(EnginePool.start(3, startOne, silent)).rejects.toThrow("no memory");
    expect(started.map((e) => e.isClosed)).toEqual([true, true]);
  });

  it("refuses engines whose texts could differ", async () => {
    let n = 0;
    const startOne = async (own: EngineListener) => new FakeEngine(own, `n${n++}`);
    await expect(EnginePool.start(2, startOne, silent)).rejects.toThrow("n0, n1");
  });
});
