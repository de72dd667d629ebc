import { describe, expect, it } from "vitest";
import { HINT_SOURCES, type VerifierFrame } from "../../gpu-service/protocol/frames.ts";
import { mix32 } from "../../gpu-service/protocol/noise.ts";
import type { StartFrame } from "../../gpu-service/verify/engines/engine.ts";
import { FakeTarget, reference, VOCABULARY } from "../support/fake-target.ts";
import { GREEDY, idsOf, runAll, schedulerFor, schedulerOn, startFrame } from "../support/sequences.ts";

const CONTEXT = 96;

/** A reproducible source of integers below n. */
function dice(seed: number) {
  let state = seed;
  return (n: number): number => {
    state = mix32(state + 0x6d2b79f5);
    return state % n;
  };
}

function randomStart(stream: number, below: (n: number) => number): StartFrame {
  // Most prompts begin alike, so that prefixes are reused.
  const shared = below(4) === 0 ? 0 : below(20);
  const prompt = Array.from({ length: 1 + below(30) }, (_, i) =>
    i < shared ? (i * 5) % 7 : below(VOCABULARY),
  );
  return startFrame(stream, prompt, {
    max_tokens: 1 + below(40),
    tenant: below(4) ? "t" : "u",
    stop_ids: below(2) ? [below(VOCABULARY)] : [],
    sampling: {
      ...GREEDY,
      temperature: below(3) / 2,
      top_k: below(3) ? 0 : 4,
      top_p: below(3) ? 1 : 0.8,
      seed: String(below(1_000_000)),
      presence_penalty: below(2),
      frequency_penalty: below(2) / 2,
      logit_bias: below(3) ? [] : [[below(VOCABULARY), 2]],
    },
  });
}

/** A hint of any kind: honest, wrong, early, late, half right, of an old path, with branches, with unknown ids. */
function randomHint(
  start: StartFrame,
  output: number[],
  done: number,
  path: number,
  below: (n: number) => number,
) {
  const from = below(2) ? done : below(output.length + 4);
  const length = 1 + below(8);
  const drafted = (first: number, n: number) =>
    Array.from({ length: n }, (_, i) => {
      const honest = output[first + i];
      return honest === undefined || below(5) === 0 ? below(VOCABULARY + 1) : honest;
    });
  const branches = Array.from({ length: below(3) }, () => {
    const at = from + below(length);
    return { at: start.prompt.length + at, ids: drafted(at, 1 + below(4)) };
  });
  return {
    type: "hint" as const,
    stream: start.stream,
    path,
    at: start.prompt.length + from,
    ids: drafted(from, length),
    source: HINT_SOURCES[below(HINT_SOURCES.length)]!,
    branches,
  };
}

/** Runs one random schedule and returns how often the scheduler waited for hints. */
async function runSchedule(seed: number): Promise<number> {
  const below = dice(seed);
  const model = new FakeTarget(CONTEXT, 1 + below(4));
  const scheduler = schedulerOn(model, { queueLimit: 1000 });
  const starts = Array.from({ length: 1 + below(5) }, (_, i) => randomStart(i + 1, below));
  const outputs = starts.map((start) => reference(start, CONTEXT));
  /** The request behind each stream: a resumed one has several. */
  const requestOf = new Map(starts.map(({ stream }, i) => [stream, i]));
  const delivered: number[][] = starts.map(() => []);
  const ended = starts.map(() => false);
  const paths = starts.map(() => 0);
  const waiting = [...starts];
  let waits = 0;
  const lastStream = (i: number) => [...requestOf].filter(([, request]) => request === i).at(-1)![0];
  const hint = () => {
    const i = below(starts.length);
    if (below(4) === 0) paths[i]!++;
    const path = Math.max(0, paths[i]! - (below(6) ? 0 : 1));
    const stream = lastStream(i);
    const arrivedMs = model.elapsedMs - below(3) * 4;
    const frame = { ...randomHint(starts[i]!, outputs[i]!, delivered[i]!.length, path, below), stream };
    scheduler.accept(frame, arrivedMs);
    if (below(3) > 0) return;
    // Its branches grow, by the text's own ids or not, joining on to what is known or not.
    const branches = frame.branches.map(({ at, ids }) => {
      const end = at + ids.length - starts[i]!.prompt.length;
      const more = [...outputs[i]!.slice(end, end + below(4)), below(VOCABULARY)];
      return { at, from: ids.length + (below(4) ? 0 : 1), ids: more };
    });
    scheduler.accept({ ...frame, branches }, arrivedMs);
  };
  /** Ends a stream and takes the text up again, as another replica would. */
  const cut = () => {
    const [stream, i] = [...requestOf].at(below(requestOf.size))!;
    if (ended[i] || stream !== lastStream(i) || waiting.some((start) => start.stream === stream)) return;
    scheduler.accept({ type: "cancel", stream });
    const again = 1000 + requestOf.size;
    requestOf.set(again, i);
    const confirmed = [...delivered[i]!];
    if (below(3) === 0) ended[i] = true;
    else waiting.push({ ...starts[i]!, stream: again, confirmed, numerics: "fake" });
  };
  for (let turn = 0; waiting.length > 0 || !scheduler.idle; turn++) {
    if (turn > 3000) throw new Error("no end");
    if (waiting.length > 0 && below(3) === 0) scheduler.accept(waiting.shift()!);
    for (let n = below(4); n > 0; n--) hint();
    if (below(40) === 0) cut();
    const report = await scheduler.step();
    for (const frame of scheduler.takeFrames()) {
      if (frame.type === "error") throw new Error(frame.message);
      const i = requestOf.get(frame.stream)!;
      if (frame.type === "tokens") {
        const { prompt } = starts[i]!;
        if (frame.at !== prompt.length + delivered[i]!.length)
          throw new Error(`tokens at ${frame.at} do not join`);
        delivered[i]!.push(...frame.ids);
      }
      if (frame.type === "done" && frame.reason !== "cancelled") ended[i] = true;
    }
    if (report || scheduler.wakeAt === undefined) continue;
    waits++;
    // Somewhere within the wait the next thing happens, or the wait runs out.
    model.elapsedMs += (scheduler.wakeAt - model.elapsedMs) * (below(3) / 2);
  }
  for (const [i, output] of outputs.entries()) {
    const text = delivered[i]!;
    if (!ended[i]) throw new Error(`text ${i} has no end`);
    if (text.some((id, k) => id !== output[k])) throw new Error(`text ${i} is not the reference's`);
  }
  if (model.openCaches !== 0) throw new Error("a cache was not given back");
  return waits;
}

describe("any schedule of hints, refusals, waits, cancels and resumes gives the reference's text", () => {
  for (let block = 0; block < 20; block++) {
    it(`schedules ${block * 100} to ${block * 100 + 99}`, async () => {
      let waits = 0;
      for (let seed = block * 100; seed < block * 100 + 100; seed++) {
        await runSchedule(seed).then(
          (n) => {
            waits += n;
          },
          (error: Error) => {
            throw new Error(`schedule ${seed}: ${error.message}`);
          },
        );
      }
      expect(waits).toBeGreaterThan(0);
    });
  }
});

describe("steps", () => {
  const prompt = [1, 2, 3];
  const output = reference(startFrame(1, prompt, { max_tokens: 40 }), CONTEXT);

  it("with honest hints are fewer than tokens, and every one moves every ready sequence", async () => {
    const model = new FakeTarget(CONTEXT, 4);
    const scheduler = schedulerFor(model);
    for (const stream of [1, 2]) scheduler.accept(startFrame(stream, prompt, { max_tokens: 40 }));
    const frames: VerifierFrame[] = [];
    while (!scheduler.idle) {
      const done = idsOf(frames, 1, 3).length;
      const ids = output.slice(done, done + 8);
      if (ids.length > 0)
        scheduler.accept({ type: "hint", stream: 1, path: done, at: 3 + done, ids, source: "model" });
      await scheduler.step();
      const now = scheduler.takeFrames();
      frames.push(...now);
      const live = [1, 2].filter((s) => !frames.some((f) => f.type === "done" && f.stream === s));
      for (const s of live) expect(now.some((f) => f.type === "tokens" && f.stream === s)).toBe(true);
    }
    const done = frames.find((f) => f.type === "done" && f.stream === 1);
    expect(done?.type === "done" && done.counts.steps).toBeLessThan(15);
    expect(idsOf(frames, 2, 3)).toEqual(output);
  });

  it("a stop inside an accepted block ends the text there", async () => {
    const at = output.findIndex((id, i) => i >= 2 && !output.slice(0, i).includes(id));
    const scheduler = schedulerFor(new FakeTarget(CONTEXT, 1));
    scheduler.accept(startFrame(1, prompt, { max_tokens: 40, stop_ids: [output[at]!] }));
    await scheduler.step();
    let frames = scheduler.takeFrames();
    // One hint row at first: earn credit until the block spans the stop.
    while (!scheduler.idle) {
      scheduler.accept({ type: "hint", stream: 1, path: 0, at: 3, ids: output, source: "memory" });
      await scheduler.step();
      frames = frames.concat(scheduler.takeFrames());
    }
    expect(idsOf(frames, 1, 3)).toEqual(output.slice(0, at + 1));
    expect(frames.at(-1)).toMatchObject({ type: "done", reason: "stop" });
  });

  it("say in a frame for each source what it had foretold", async () => {
    const scheduler = schedulerFor(new FakeTarget(CONTEXT, 1));
    scheduler.accept(startFrame(1, prompt, { max_tokens: 40 }));
    const frames: VerifierFrame[] = [];
    while (!scheduler.idle) {
      const n = idsOf(frames, 1, 3).length;
      const hint = { type: "hint" as const, stream: 1, path: n };
      if (n < 36) {
        scheduler.accept({ ...hint, at: 3 + n, ids: output.slice(n, n + 2), source: "model" });
        scheduler.accept({ ...hint, at: 5 + n, ids: output.slice(n + 2, n + 4), source: "lookup" });
      }
      await scheduler.step();
      frames.push(...scheduler.takeFrames());
    }
    expect(idsOf(frames, 1, 3)).toEqual(output);
    expect(frames).toContainEqual(expect.objectContaining({ source: "model", accepted: 2 }));
    const both = frames.find((f) => f.type === "tokens" && f.source === "lookup" && f.accepted === 2);
    expect(both?.type === "tokens" && both.ids).toHaveLength(3);
    const done = frames.at(-1);
    expect(done?.type === "done" && done.counts.accepted.lookup?.slice(0, 2)).toEqual([0, 0]);
    expect(done?.type === "done" && done.counts.accepted.lookup?.[2]).toBeGreaterThan(0);
  });

  it("ignore hints where drafts are off", async () => {
    const model = new FakeTarget(CONTEXT, 1);
    const scheduler = schedulerFor(model);
    scheduler.accept(startFrame(1, prompt, { drafts: false }));
    scheduler.accept({ type: "hint", stream: 1, path: 0, at: 3, ids: output, source: "model" });
    await runAll(scheduler);
    expect(model.steps.slice(1).every(([rows]) => rows === 1)).toBe(true);
  });

  it("a cancel frees the slot within a step", async () => {
    const model = new FakeTarget(CONTEXT, 1);
    const scheduler = schedulerFor(model, { slots: 1 });
    scheduler.accept(startFrame(1, prompt, { max_tokens: 50 }));
    scheduler.accept(startFrame(2, prompt, { max_tokens: 2 }));
    await scheduler.step();
    scheduler.accept({ type: "cancel", stream: 1 });
    await scheduler.step();
    const frames = scheduler.takeFrames();
    expect(frames.some((f) => f.type === "done" && f.stream === 1 && f.reason === "cancelled")).toBe(true);
    expect(frames.some((f) => f.type === "tokens" && f.stream === 2)).toBe(true);
  });

  it("a long prompt is prefilled in chunks beside the others", async () => {
    const model = new FakeTarget(CONTEXT, 4);
    const scheduler = schedulerFor(model);
    scheduler.accept(startFrame(1, prompt, { max_tokens: 30 }));
    await scheduler.step();
    const long = Array.from({ length: 80 }, (_, i) => i % VOCABULARY);
    scheduler.accept(startFrame(2, long, { max_tokens: 3 }));
    const frames = await runAll(scheduler);
    expect(Math.max(...model.steps.flat())).toBeLessThan(80);
    expect(idsOf(frames, 2, 80)).toEqual(reference(startFrame(2, long, { max_tokens: 3 }), CONTEXT));
  });
});

describe("sharing the engine", () => {
  const prompt = [1, 2, 3];
  /** The step at which each stream says its first token, first one first. */
  const firstTokens = async (scheduler: ReturnType<typeof schedulerFor>) => {
    const at: [stream: number, step: number][] = [];
    for (let step = 0; !scheduler.idle; step++) {
      await scheduler.step();
      for (const { type, stream } of scheduler.takeFrames()) {
        if (type === "tokens" && !at.some(([known]) => known === stream)) at.push([stream, step]);
      }
    }
    return at;
  };
  const ids = (length: number) => Array.from({ length }, (_, i) => i % VOCABULARY);

  it("a short prompt does not wait for a long one, and the long one goes on meanwhile", async () => {
    const model = new FakeTarget(512, 4);
    const scheduler = schedulerFor(model);
    scheduler.accept(startFrame(1, ids(400), { max_tokens: 2 }));
    await scheduler.step();
    scheduler.accept(startFrame(2, ids(20), { max_tokens: 2 }));
    const [first, second] = await firstTokens(scheduler);
    expect(first).toEqual([2, 0]);
    expect(second![0]).toBe(1);
    expect(model.steps[1]).toEqual([44, 20]);
  });

  it("the oldest prompt goes on however many shorter ones come", async () => {
    const model = new FakeTarget(512, 4);
    const scheduler = schedulerFor(model);
    scheduler.accept(startFrame(1, ids(400), { max_tokens: 1 }));
    for (let stream = 2; stream < 40; stream++)
      scheduler.accept(startFrame(stream, ids(200 + stream), { max_tokens: 1, tenant: `t${stream}` }));
    const order = (await firstTokens(scheduler)).map(([stream]) => stream);
    expect(order.indexOf(1)).toBeLessThan(10);
  });

  it("one tenant's crowd does not hold up another's only request", async () => {
    const scheduler = schedulerFor(new FakeTarget(CONTEXT, 2), { slots: 2 });
    for (let stream = 1; stream <= 8; stream++) scheduler.accept(startFrame(stream, prompt, { tenant: "a" }));
    scheduler.accept(startFrame(9, prompt, { tenant: "b" }));
    const order = (await firstTokens(scheduler)).map(([stream]) => stream);
    expect(order.slice(0, 3)).toEqual([1, 9, 2]);
  });

  it("a burst that arrives at once is bounded like one that arrives in turn", async () => {
    const scheduler = schedulerFor(new FakeTarget(CONTEXT, 2), { slots: 2, queueLimit: 3 });
    for (let stream = 1; stream <= 50; stream++) scheduler.accept(startFrame(stream, prompt));
    const refused = (await runAll(scheduler)).filter((frame) => frame.type === "error");
    expect(refused).toHaveLength(50 - 2 - 3);
  });
});

describe("a prefix", () => {
  const long = Array.from({ length: 40 }, (_, i) => (i * 7) % VOCABULARY);
  const cachedTokens = async (first: Partial<StartFrame>, second: Partial<StartFrame>) => {
    const scheduler = schedulerFor(new FakeTarget(CONTEXT, 1));
    scheduler.accept(startFrame(1, long, first));
    await runAll(scheduler);
    const start = startFrame(2, [...long.slice(0, 30), 1, 2, 3], second);
    scheduler.accept(start);
    const frames = await runAll(scheduler);
    expect(idsOf(frames, 2, 33)).toEqual(reference(start, CONTEXT));
    const opened = frames.find((f) => f.type === "opened");
    return opened?.type === "opened" ? opened.cached_tokens : undefined;
  };
  it("of an earlier text is not run again", async () => expect(await cachedTokens({}, {})).toBe(30));
  it("of another tenant is", async () => expect(await cachedTokens({ tenant: "u" }, {})).toBe(0));
  it("of a prompt to be scored is", async () =>
    expect(await cachedTokens({}, { prompt_logprobs: 1 })).toBe(0));
});

describe("what a start may ask", () => {
  const only = async (start: StartFrame, context = CONTEXT) => {
    const scheduler = schedulerFor(new FakeTarget(context, 1));
    scheduler.accept(start);
    return runAll(scheduler);
  };
  const whole = reference(startFrame(1, [1, 2], { max_tokens: 12 }), CONTEXT);

  it("resumes from confirmed ids with the same text and counts", async () => {
    const penalised = { ...GREEDY, temperature: 0.8, frequency_penalty: 1, presence_penalty: 0.5 };
    const start = startFrame(1, [1, 2], { max_tokens: 20, sampling: penalised });
    const all = reference(start, CONTEXT);
    const frames = await only({ ...start, confirmed: all.slice(0, 7), numerics: "fake" });
    expect(idsOf(frames, 1, 2 + 7)).toEqual(all.slice(7));
  });
  it("a text that was confirmed to its end is done at once", async () => {
    const frames = await only(
      startFrame(1, [1, 2], {
        max_tokens: 20,
        confirmed: whole.slice(0, 4),
        numerics: "fake",
        stop_ids: [whole[3]!],
      }),
    );
    expect(frames.map((f) => f.type)).toEqual(["opened", "done"]);
  });
  it("refuses other numerics by name", async () => {
    const [frame] = await only(startFrame(1, [1], { confirmed: [2], numerics: "other" }));
    expect(frame).toMatchObject({ type: "error", code: "numerics_mismatch" });
  });
  it("refuses ids beyond the vocabulary, and says which", async () => {
    const [frame] = await only(startFrame(1, [1, 12]));
    expect(frame).toMatchObject({
      code: "invalid_request",
      message: expect.stringContaining("prompt.1: id 12"),
    });
  });
  it("refuses a prompt that fills the context", async () => {
    const [frame] = await only(startFrame(1, Array(CONTEXT).fill(1)));
    expect(frame).toMatchObject({ code: "context_too_long" });
  });
  it("ends at the context where the cap lies beyond it", async () => {
    const frames = await only(startFrame(1, [1, 2], { max_tokens: 500 }), 20);
    expect(idsOf(frames, 1, 2)).toHaveLength(18);
    expect(frames.at(-1)).toMatchObject({ type: "done", reason: "length" });
  });
  it("scores a prompt with max_tokens 0", async () => {
    const frames = await only(startFrame(1, Array(70).fill(3), { max_tokens: 0, prompt_logprobs: 2 }));
    expect(frames.map((f) => f.type)).toEqual(["opened", "done"]);
    const opened = frames[0];
    const entries = opened?.type === "opened" ? opened.prompt_logprobs! : [];
    expect(entries).toHaveLength(70);
    expect(entries[0]).toBeNull();
    expect(entries[69]!.top).toHaveLength(2);
  });
  it("gives logprobs of the raw logits, one per token", async () => {
    const sampling = { ...GREEDY, logit_bias: [[5, 100]] as [number, number][] };
    const frames = await only(startFrame(1, [1, 2], { max_tokens: 3, logprobs: 1, sampling }));
    const tokens = frames.find((f) => f.type === "tokens");
    expect(tokens?.type === "tokens" && tokens.ids).toEqual([5]);
    expect(tokens?.type === "tokens" && tokens.logprobs![0]!.top[0]![0]).toBe(whole[0]);
  });
  it("is refused as overloaded when the queue is full, and when it waits too long", async () => {
    const model = new FakeTarget(CONTEXT, 1);
    const scheduler = schedulerFor(model, { slots: 1, queueLimit: 1, queueTimeoutMs: 30 });
    scheduler.accept(startFrame(1, [1], { max_tokens: 60 }));
    await scheduler.step();
    scheduler.accept(startFrame(2, [1]));
    scheduler.accept(startFrame(3, [1]));
    const frames = await runAll(scheduler);
    const errors = frames.filter((f) => f.type === "error");
    expect(errors).toMatchObject([
      { stream: 3, code: "overloaded", retryable: true },
      { stream: 2, code: "overloaded", retryable: true },
    ]);
  });
});
