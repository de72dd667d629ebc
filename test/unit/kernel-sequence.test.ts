/** Sequences on one pool: their caches always equal a fresh prefill, whatever happened before and beside them. */
import { describe, expect, test } from "vitest";
import type { DraftEngine, DraftWork, Sequence } from "../../edge/drafting/model/index.ts";
import { engineOf } from "../support/draft-engine.ts";
import { randomImage, SMALL, xorshift } from "../support/draft-image.ts";

const IMAGE = randomImage({ shape: SMALL, head: { rows: 300, tied: false, short: false }, type: "int8" });
const GREEDY = { temperature: 0, seed: 0n };
const ids = (count: number, seed = 1): number[] => {
  const random = xorshift(seed);
  return Array.from({ length: count }, () => random() % SMALL.vocab);
};

/** Logits that a fresh sequence gives after `text`, of which it sees the window that begins at `start`. */
async function freshLogits(
  engine: DraftEngine,
  text: readonly number[],
  start: number,
): Promise<Float32Array> {
  const sequence = engine.open();
  // In pieces: a prefill takes no more than a window at once, though what is held may have grown beyond it.
  for (let at = start; at < text.length; at += 64) {
    await sequence.prefill();
    sequence.extend(text.slice(at, at + 64));
  }
  await sequence.draft(1, GREEDY);
  expect(sequence.start).toBe(0);
  sequence.close();
  return engine.logits().slice();
}

async function nextLogits(engine: DraftEngine, sequence: Sequence): Promise<Float32Array> {
  await sequence.draft(1, GREEDY);
  sequence.rewind(sequence.length - 1);
  return engine.logits().slice();
}

test.each([1, 2, 3, 4])("after random extends, drafts, rewinds and confirmations (seed %i)", async (seed) => {
  const random = xorshift(seed);
  const upTo = (most: number) => random() % (most + 1);
  const engine = await engineOf(IMAGE, { window: 100, poolPositions: 512 });
  const fresh = await engineOf(IMAGE, { window: 256, poolPositions: 512 });
  /** What each sequence should hold: the whole text, drafted ids included. */
  const held: { sequence: Sequence; text: number[] }[] = [];
  for (let step = 0; step < 120; step++) {
    if (held.length < 3) held.push({ sequence: engine.open(), text: [] });
    const one = held[random() % held.length]!;
    const { sequence, text } = one;
    switch (random() % 6) {
      case 0:
      case 1: {
        const more = ids(upTo(40), random());
        sequence.extend(more);
        text.push(...more);
        break;
      }
      case 2: {
        const options = { temperature: upTo(1), seed: BigInt(random()), minProbability: 0.003 * upTo(2) };
        const { tokens } = await sequence.draft(upTo(6), options);
        text.push(...tokens.map(({ id }) => id));
        break;
      }
      case 3: {
        const position = Math.max(0, text.length - upTo(50));
        sequence.rewind(position);
        text.length = position;
        break;
      }
      case 4: {
        // Confirm the last ids, now and then with one that differs, and some beyond.
        const at = Math.max(0, text.length - upTo(8));
        const confirmed = [...text.slice(at), ...ids(upTo(3), random())];
        if (confirmed.length > 0 && upTo(1)) {
          const place = random() % confirmed.length;
          confirmed[place] = (confirmed[place]! + 1) % SMALL.vocab;
          confirmed.length = place + 1;
          text.length = at;
          text.push(...confirmed);
        } else text.splice(at, Number.POSITIVE_INFINITY, ...confirmed);
        sequence.confirm(at, confirmed);
        break;
      }
      default:
        if (upTo(3) === 0) {
          sequence.close();
          held.splice(held.indexOf(one), 1);
          continue;
        }
    }
    expect(sequence.length).toBe(text.length);
    expect(sequence.ids).toEqual(text.slice(sequence.start));
    if (sequence.ids.length > 0) {
      expect(await nextLogits(engine, sequence)).toEqual(await freshLogits(fresh, text, sequence.start));
    }
  }
  for (const { sequence } of held) sequence.close();
  expect(engine.pages.free).toBe(engine.pages.total);
});

describe("slices", () => {
  test("sequences that take turns inside each other's passes draft what they draft alone", async () => {
    const engine = await engineOf(IMAGE, { sliceMacs: 1 });
    const prompts = [ids(50, 1), ids(33, 2), ids(7, 3)];
    const alone = [];
    for (const prompt of prompts) {
      const sequence = engine.open();
      sequence.extend(prompt);
      alone.push(await sequence.draft(5, { temperature: 1, seed: 9n }));
      sequence.close();
    }
    const works = prompts.map((prompt) => {
      const sequence = engine.open();
      sequence.extend(prompt);
      return sequence.draftWork(5, { temperature: 1, seed: 9n });
    });
    let busy: DraftWork[] = works;
    while (busy.length > 0) {
      for (const work of busy) work.advance(1);
      busy = busy.filter((work) => !work.finished);
    }
    expect(works.map((work) => work.draft)).toEqual(alone);
  });

  test("a slice takes no more than it was given, but for the step it began", async () => {
    const engine = await engineOf(IMAGE);
    const sequence = engine.open();
    sequence.extend(ids(200));
    const work = sequence.prefillWork();
    const slices = [];
    while (!work.finished) slices.push(work.advance(4e6));
    const largestStep = 16 * (SMALL.hidden * 12 * 32 + 3 * SMALL.hidden * SMALL.ffn + 2 * 4 * 32 * 200);
    expect(Math.max(...slices)).toBeLessThan(4e6 + largestStep);
    expect(slices.length).toBeGreaterThan(3);
  });

  test("a pass left half done by a sequence that was closed is dropped", async () => {
    const engine = await engineOf(IMAGE);
    const gone = engine.open();
    gone.extend(ids(40));
    gone.prefillWork().advance(1);
    gone.close();
    const sequence = engine.open();
    sequence.extend(ids(20, 5));
    expect(await nextLogits(engine, sequence)).toEqual(await freshLogits(engine, ids(20, 5), 0));
  });

  test("a pass left half done by a request that is gone is finished by the next", async () => {
    const engine = await engineOf(IMAGE);
    const stalled = engine.open();
    stalled.extend(ids(40));
    const work = stalled.draftWork(1, GREEDY);
    work.advance(1);
    const sequence = engine.open();
    sequence.extend(ids(20, 5));
    expect((await sequence.draft(3, GREEDY)).end).toBe("count");
    while (!work.finished) work.advance(1e9);
    const { tokens } = work.draft;
    const again = engine.open();
    again.extend(ids(40));
    expect((await again.draft(1, GREEDY)).tokens).toEqual(tokens);
  });

  test("work that its sequence has outrun ends as superseded", async () => {
    const engine = await engineOf(IMAGE);
    const sequence = engine.open();
    sequence.extend(ids(40));
    const work = sequence.draftWork(4, GREEDY);
    work.advance(1);
    sequence.extend([1]);
    work.advance(1e9);
    expect(work.finished).toBe(true);
    expect(work.draft).toEqual({ tokens: [], end: "superseded" });
  });
});

describe("limits", () => {
  test("without free pages a sequence drafts nothing, holds none, and goes on once there are some", async () => {
    const engine = await engineOf(IMAGE, { poolPositions: 128, window: 64 });
    const [one, two, three] = [engine.open(), engine.open(), engine.open()];
    one.extend(ids(60, 1));
    two.extend(ids(60, 2));
    three.extend(ids(60, 3));
    expect((await one.draft(2, GREEDY)).end).toBe("count");
    expect((await two.draft(2, GREEDY)).end).toBe("count");
    expect(await three.draft(2, GREEDY)).toEqual({ tokens: [], end: "pages" });
    one.close();
    expect(await nextLogits(engine, three)).toEqual(await freshLogits(await engineOf(IMAGE), ids(60, 3), 0));
    two.close();
    three.close();
    expect(engine.pages.free).toBe(4);
  });

  test("only the newest window of a long prompt is computed", async () => {
    const engine = await engineOf(IMAGE, { window: 100 });
    const prompt = ids(2000);
    const sequence = engine.open();
    sequence.extend(prompt);
    expect(sequence.start).toBe(1900);
    expect(sequence.length).toBe(2000);
    expect(await nextLogits(engine, sequence)).toEqual(await freshLogits(engine, prompt, 1900));
  });

  test("the noise of a drawn token uses its absolute position", async () => {
    const engine = await engineOf(IMAGE, { window: 100 });
    const draw = async (text: number[]) => {
      const sequence = engine.open();
      sequence.extend(text);
      const { tokens } = await sequence.draft(8, { temperature: 30, seed: 5n });
      sequence.close();
      return tokens.map(({ id }) => id);
    };
    const prompt = ids(300);
    expect(await draw(prompt)).toEqual(await draw([...ids(200, 9), ...prompt.slice(200)]));
    expect(await draw(prompt)).not.toEqual(await draw(prompt.slice(100)));
  });

  test("a text beyond the model's context slides to its newest half window", async () => {
    const engine = await engineOf(IMAGE, { window: 96 });
    const sequence = engine.open();
    const text = ids(90);
    sequence.extend(text);
    for (let i = 0; i < 60; i++) {
      const { tokens, end } = await sequence.draft(7, { temperature: 1, seed: BigInt(i) });
      expect(end).toBe("count");
      text.push(...tokens.map(({ id }) => id));
      expect(sequence.ids.length).toBeLessThanOrEqual(SMALL.context + 1);
    }
    expect(sequence.length).toBe(90 + 420);
    expect(sequence.start).toBeGreaterThan(0);
    expect(await nextLogits(engine, sequence)).toEqual(await freshLogits(engine, text, sequence.start));
  });

  test("taking back more than the window holds leaves an empty sequence that can be filled again", async () => {
    const engine = await engineOf(IMAGE, { window: 100 });
    const sequence = engine.open();
    sequence.extend(ids(500));
    sequence.rewind(50);
    expect(await sequence.draft(1, GREEDY)).toEqual({ tokens: [], end: "empty" });
    sequence.extend([3, 4]);
    expect([sequence.start, sequence.length]).toEqual([50, 52]);
    expect((await sequence.draft(1, GREEDY)).tokens).toHaveLength(1);
  });

  test("drafting stops before a token that the draft is not sure of", async () => {
    const engine = await engineOf(IMAGE);
    const sequence = engine.open();
    sequence.extend(ids(10));
    const sure = await sequence.draft(6, GREEDY);
    sequence.rewind(10);
    const least = sure.tokens.map(({ probability }) => probability);
    const stopAt = least.indexOf(Math.min(...least));
    const stopped = await sequence.draft(6, { ...GREEDY, minProbability: least[stopAt]! + 1e-6 });
    expect(stopped.end).toBe("confidence");
    expect(stopped.tokens.length).toBeLessThanOrEqual(stopAt);
    expect(sequence.length).toBe(10 + stopped.tokens.length);
  });
});

describe("misuse", () => {
  test("is told", async () => {
    const engine = await engineOf(IMAGE);
    const sequence = engine.open();
    expect(() => sequence.extend([SMALL.vocab])).toThrow("id 300 of 300");
    expect(() => sequence.extend([-1])).toThrow(RangeError);
    expect(() => sequence.rewind(1)).toThrow("position 1 of 0");
    expect(() => sequence.confirm(1, [1])).toThrow(RangeError);
    expect(() => sequence.draftWork(1, { temperature: Number.NaN, seed: 0n })).toThrow(RangeError);
    sequence.close();
    expect(() => sequence.extend([1])).toThrow("closed");
    engine.close();
    expect(() => engine.open()).toThrow("closed");
  });

  test("an engine that closes ends its sequences' work without an error", async () => {
    const engine = await engineOf(IMAGE);
    const sequence = engine.open();
    sequence.extend(ids(50));
    const work = sequence.draftWork(2, GREEDY);
    work.advance(1);
    engine.close();
    work.advance(1e9);
    expect(work.draft.end).toBe("superseded");
    expect((await sequence.draft(1, GREEDY)).tokens).toEqual([]);
    sequence.close();
  });
});
