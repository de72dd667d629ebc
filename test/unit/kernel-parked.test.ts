/** What a closed sequence computed serves its tenant's next one, is never seen by another's, and is given up first. */
import { expect, test } from "vitest";
import type { DraftEngine } from "../../edge/drafting/model/index.ts";
import { PagePool } from "../../edge/drafting/model/pages.ts";
import { engineOf } from "../support/draft-engine.ts";
import { randomImage, SMALL, xorshift } from "../support/draft-image.ts";

const IMAGE = randomImage({ shape: SMALL, head: { rows: 300, tied: false, short: false }, type: "int8" });
const GREEDY = { temperature: 0, seed: 0n };
const ids = (count: number, seed: number): number[] => {
  const random = xorshift(seed);
  return Array.from({ length: count }, () => random() % SMALL.vocab);
};

/** One request: how many ids it had to compute, and the logits after its prompt. */
async function request(engine: DraftEngine, prompt: readonly number[], tenant?: string) {
  const sequence = engine.open(tenant);
  sequence.extend(prompt);
  const { waiting } = sequence;
  await sequence.draft(1, GREEDY);
  const logits = engine.logits().slice();
  await sequence.draft(3, GREEDY);
  sequence.close();
  return { waiting, logits };
}

test("the same system prompt is computed once for consecutive requests of one tenant", async () => {
  const engine = await engineOf(IMAGE);
  const system = ids(100, 1);
  await request(engine, [...system, ...ids(20, 2)], "a");
  const again = [...system, ...ids(25, 3)];
  const { waiting, logits } = await request(engine, again, "a");
  expect(waiting).toBeLessThanOrEqual(25);
  expect(logits).toEqual((await request(await engineOf(IMAGE), again)).logits);
  expect(engine.pages.free).toBe(engine.pages.total);
});

test("another tenant's sequence, or one of nobody's, computes everything itself", async () => {
  const engine = await engineOf(IMAGE);
  const prompt = ids(120, 1);
  await request(engine, prompt, "a");
  expect((await request(engine, prompt, "b")).waiting).toBe(120);
  expect((await request(engine, prompt)).waiting).toBe(120);
  expect((await request(engine, prompt, "a")).waiting).toBe(0);
});

test("caches are taken over, cut and given up in any order, and logits stay those of a fresh prefill", async () => {
  const random = xorshift(7);
  const engine = await engineOf(IMAGE, { poolPositions: 256 });
  const fresh = await engineOf(IMAGE);
  let adopted = 0;
  for (let n = 0; n < 60; n++) {
    const begin = ids(90, 1 + (random() % 3)).slice(0, 20 + (random() % 70));
    const prompt = [...begin, ...ids(1 + (random() % 60), random() + 1)];
    const { waiting, logits } = await request(engine, prompt, "ab"[random() % 2]);
    if (waiting < prompt.length) adopted++;
    expect(logits).toEqual((await request(fresh, prompt)).logits);
    expect(engine.pages.free).toBe(8);
  }
  expect(adopted).toBeGreaterThan(20);
});

test("the oldest cache is given up first, and only when its pages are needed", () => {
  const pool = new PagePool(0, 64, 3);
  const texts = [ids(32, 1), ids(32, 2), ids(32, 3)];
  for (const text of texts) pool.park({ tenant: "a", ids: text, pages: [pool.take()!] });
  expect(pool.free).toBe(3);
  pool.take();
  expect(texts.map((text) => pool.adopt("a", text)?.count)).toEqual([undefined, 32, 32]);
  expect(pool.free).toBe(0);
  expect(pool.take()).toBeUndefined();
});
