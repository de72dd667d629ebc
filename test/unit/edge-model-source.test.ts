import { afterEach, beforeAll, expect, it, vi } from "vitest";
import type { DraftEngine } from "../../edge/drafting/model/index.ts";
import { SEATS, seatedModel } from "../../edge/drafting/model-seats.ts";
import { ModelSource } from "../../edge/drafting/model-source.ts";
import { engineOf } from "../support/draft-engine.ts";
import { randomImage, SMALL } from "../support/draft-image.ts";
import { oracleDraft } from "../support/oracle-draft.ts";
import { randomFrom } from "../support/random.ts";

const VOCABULARY = 256;
const nextId = (id: number): number => (id * 5 + 7) & 255;
const greedy = { temperature: 0, seed: 0n };
let engine: DraftEngine;
let source: ModelSource;

beforeAll(async () => {
  engine = await engineOf(oracleDraft(VOCABULARY, nextId), { poolPositions: 256, sliceMacs: 50_000 });
  // The kernel may have to be built first.
}, 60_000);
afterEach(() => source.close());

it("follows the text, whatever is drafted, refused and confirmed", async () => {
  const random = randomFrom(2);
  source = new ModelSource(engine, greedy);
  const text = Array.from({ length: 20 }, () => random(VOCABULARY));
  source.prepare(text);
  for (let step = 0; step < 150; step++) {
    const guess = await source.next(text);
    expect(guess).toMatchObject({ id: nextId(text.at(-1)!), grade: 5 });
    expect(guess!.runnerUp!.id).not.toBe(guess!.id);
    const refused = random(3) === 0;
    if (refused) text.length -= random(Math.min(8, text.length - 1));
    text.push(refused ? random(VOCABULARY) : guess!.id);
  }
});

it("goes on beyond its window and its pool", async () => {
  source = new ModelSource(engine, greedy);
  const text = Array.from({ length: 600 }, (_, i) => i & 255);
  for (let n = 0; n < 40; n++) {
    const guess = await source.next(text);
    expect(guess!.id).toBe(nextId(text.at(-1)!));
    text.push(guess!.id);
  }
});

it("says nothing about ids that the draft does not have", async () => {
  source = new ModelSource(engine, greedy);
  expect(await source.next([1, 2, VOCABULARY])).toBeNull();
  expect(await source.next([1, 2, VOCABULARY, 3])).toBeNull();
});

it("says nothing more when the text's tokens have been drafted for often enough, until more are confirmed", async () => {
  source = new ModelSource(engine, greedy);
  const text = [1, 2];
  const drafted = async (confirmed: number) => {
    let n = 0;
    while (n < 3000 && (await source.next([...text, n & 255], confirmed))) n++;
    return n;
  };
  const first = await drafted(2);
  expect(first).toBeGreaterThan(400);
  expect(first).toBeLessThan(1100);
  const later = await drafted(12);
  expect(later).toBeGreaterThan(100);
  expect(later).toBeLessThan(400);
});

it("says nothing once its release is gone", async () => {
  const gone = await engineOf(oracleDraft(VOCABULARY, nextId), { poolPositions: 64 });
  source = new ModelSource(gone, greedy);
  expect(await source.next([1, 2])).not.toBeNull();
  gone.close();
  expect(await source.next([1, 2, 3])).toBeNull();
});

it("has a seat for so many requests, and each seat back when its request ends", () => {
  source = new ModelSource(engine, greedy);
  const sampling = { temperature: 0, seed: "0" } as never;
  const seats = Array.from({ length: SEATS }, () => seatedModel({ id: "r", engine }, sampling, "a")!);
  expect(seats.every(Boolean)).toBe(true);
  expect(seatedModel({ id: "r", engine }, sampling, "a")).toBeUndefined();
  seats[0]!.close();
  seats[0]!.close();
  const again = seatedModel({ id: "r", engine }, sampling, "a")!;
  expect(again).toBeDefined();
  expect(seatedModel({ id: "r", engine }, sampling, "a")).toBeUndefined();
  for (const seat of [...seats, again]) seat.close();
});

it("drafts from the newest ids until the whole window is computed, then from that", async () => {
  const image = randomImage({ shape: SMALL, head: { rows: 300, tied: false, short: false }, type: "int8" });
  const options = { window: 200, firstWindow: 40, poolPositions: 1024, sliceMacs: 2e6 };
  const random = randomFrom(4);
  const text = Array.from({ length: 2000 }, () => random(SMALL.vocab));
  const model = await engineOf(image, { ...options, pause: () => new Promise(setImmediate) });
  const expected = async (newest: number) => {
    const sequence = model.open();
    sequence.extend(text, newest);
    await sequence.draft(1, greedy);
    sequence.close();
    return model.logits().slice();
  };
  source = new ModelSource(model, greedy);
  source.prepare(text);
  await source.next(text);
  const first = model.logits().slice();
  expect(first).toEqual(await expected(40));
  const whole = await expected(200);
  await vi.waitFor(async () => {
    await source.next(text);
    expect(model.logits()).toEqual(whole);
  });
  source.close();
  expect(model.pages.free).toBe(model.pages.total);
});

it("goes on with the newest ids where the pool has no room for the whole window", async () => {
  const small = await engineOf(oracleDraft(VOCABULARY, nextId), {
    poolPositions: 96,
    window: 200,
    firstWindow: 32,
  });
  const other = small.open();
  other.extend([1, 2, 3]);
  await other.draft(1, greedy);
  source = new ModelSource(small, greedy);
  const text = Array.from({ length: 300 }, (_, i) => i & 255);
  source.prepare(text);
  for (let n = 0; n < 5; n++) {
    const guess = await source.next(text);
    expect(guess!.id).toBe(nextId(text.at(-1)!));
    text.push(guess!.id);
  }
});
