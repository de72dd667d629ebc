import { setImmediate as settled } from "node:timers/promises";
import { expect, it } from "vitest";
import { PortfolioDrafter } from "../../edge/drafting/drafter.ts";
import { WrongSource } from "../../edge/drafting/wrong-source.ts";

const VOCABULARY = 49_152;

it("is answered by silence: what is hinted after 64 tokens is next to nothing", async () => {
  const hinted: number[] = [];
  const drafter = new PortfolioDrafter([1, 2, 3], 512, [new WrongSource(VOCABULARY)]);
  let ids = 0;
  drafter.start((hint) => {
    ids += hint.ids.length;
  });
  for (let at = 0; at < 256; at++) {
    await settled();
    drafter.confirm([at % 50]);
    hinted.push(ids);
  }
  drafter.stop();
  expect(hinted[0]).toBeGreaterThan(0);
  expect(ids - hinted[63]!).toBeLessThan(16);
});

it("has an opinion on every text, of every grade, within the vocabulary", () => {
  const source = new WrongSource(100);
  const guesses = Array.from({ length: 12 }, (_, n) => source.next(Array.from({ length: n }, () => 99)));
  expect(new Set(guesses.map(({ grade }) => grade))).toEqual(new Set([0, 1, 2, 3, 4, 5]));
  for (const { id } of guesses) expect(id).toBeLessThan(100);
});
