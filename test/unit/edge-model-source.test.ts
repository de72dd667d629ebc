import { afterEach, beforeAll, expect, it } from "vitest";
import type { DraftEngine } from "../../edge/drafting/model/index.ts";
import { SEATS, seatedModel } from "../../edge/drafting/model-seats.ts";
import { ModelSource } from "../../edge/drafting/model-source.ts";
import { engineOf } from "../support/draft-engine.ts";
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
    expect(guess).toEqual({ id: nextId(text.at(-1)!), grade: 5 });
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
  const seats = Array.from({ length: SEATS }, () => seatedModel({ id: "r", engine }, sampling)!);
  expect(seats.every(Boolean)).toBe(true);
  expect(seatedModel({ id: "r", engine }, sampling)).toBeUndefined();
  seats[0]!.close();
  seats[0]!.close();
  const again = seatedModel({ id: "r", engine }, sampling)!;
  expect(again).toBeDefined();
  expect(seatedModel({ id: "r", engine }, sampling)).toBeUndefined();
  for (const seat of [...seats, again]) seat.close();
});
