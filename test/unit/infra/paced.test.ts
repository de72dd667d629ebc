/** The oracle of the paced benchmarks, and the real drafter and scheduler with it on a virtual clock. */
import { describe, expect, it } from "vitest";
import {
  drawVerdicts,
  OracleSource,
  type OracleTruth,
  type Verdict,
  wrongIds,
} from "../../../infra/bench/paced/oracle.ts";
import { wholeMean, wholeRun } from "../../support/paced-whole.ts";

describe("the oracle", () => {
  const verdicts: Verdict[] = ["right", "right", "runner-up", "wrong", "right"];
  const truth: OracleTruth = { text: [9, 8, 7, 6, 5], verdicts, vocabulary: 64 };
  const ask = async (text: number[]) => {
    let spentMs = 0;
    const oracle = new OracleSource(truth, 0.8, 1, {
      spend: async (ms) => {
        spentMs += ms;
      },
    });
    const guess = await oracle.next(text);
    return { id: guess?.id, second: guess?.runnerUp.id, spentMs };
  };
  const [wrong2, second2] = wrongIds(truth, 2);
  const [wrong3, second3] = wrongIds(truth, 3);

  it.each([
    ["knows the next id", [9], { id: 8, spentMs: 1 }],
    ["has the right id as its second choice", [9, 8], { id: wrong2, second: 7, spentMs: 1 }],
    ["says nothing, at no cost, on a line whose runner-up is right", [9, 8, wrong2], { spentMs: 0 }],
    ["goes on along the runner-up", [9, 8, 7], { id: wrong3, second: second3, spentMs: 1 }],
    ["goes on with junk where both are wrong", [9, 8, 7, wrong3], { id: wrongIds(truth, 4)[0], spentMs: 1 }],
    ["says nothing on a wrong runner-up", [9, 8, 7, second3], { spentMs: 0 }],
    ["says nothing on a second choice beside a right guess", [9, wrongIds(truth, 1)[1]], { spentMs: 0 }],
    ["says nothing beside the line of junk", [9, 8, 7, wrong3, wrongIds(truth, 4)[1]], { spentMs: 0 }],
    ["says nothing beyond the text", [9, 8, 7, 6, 5], { spentMs: 0 }],
  ])("%s", async (_, text, expected) => {
    expect(second2).not.toBe(7);
    expect(await ask(text)).toMatchObject(expected);
  });

  it("draws as many of each as there are on average, in an order that the seed decides", () => {
    const drawn = drawVerdicts(0.8, 100, 3);
    const count = (verdict: Verdict) => drawn.filter((one) => one === verdict).length;
    expect([count("right"), count("runner-up"), count("wrong")]).toEqual([80, 8, 12]);
    expect(drawVerdicts(0.8, 100, 3)).toEqual(drawn);
    expect(drawVerdicts(0.8, 100, 4)).not.toEqual(drawn);
  });
});

describe("drafter and scheduler together, paced, on a virtual clock", () => {
  it("give the same run for the same seed", async () => {
    const settings = { alpha: 0.8, rttMs: 30 };
    expect(await wholeRun(settings, 1)).toEqual(await wholeRun(settings, 1));
  });

  it.each([0.6, 0.9])("are never slower than plain, and faster nearby: alpha %d", async (alpha) => {
    const [near, far] = await Promise.all([0, 60].map((rttMs) => wholeMean({ alpha, rttMs }, 4)));
    expect(far!.speedup).toBeGreaterThan(0.98);
    expect(near!.speedup).toBeGreaterThan(1.4);
    expect(near!.speedup).toBeGreaterThan(far!.speedup);
  });
});
