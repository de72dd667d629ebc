import { expect, test } from "vitest";
import { armsOf } from "../../edge/retraining/arms.ts";
import { compare, NO_REQUESTS, type RequestSums, ratioOf, twoSided } from "../../edge/retraining/ratio.ts";
import { verdictOf } from "../../edge/retraining/verdict.ts";
import { randomFrom } from "../support/random.ts";

const random = (seed: number) => {
  const below = randomFrom(seed);
  return () => below(2 ** 30) / 2 ** 30;
};

/** One request: tokens drafted and accepted. */
type Request = readonly [drafted: number, accepted: number];

const sumsOf = (requests: readonly Request[]): RequestSums =>
  requests.reduce<RequestSums>(
    (sums, [d, a]) => ({
      requests: sums.requests + 1,
      drafted: sums.drafted + d,
      accepted: sums.accepted + a,
      drafted_squares: sums.drafted_squares + d * d,
      accepted_squares: sums.accepted_squares + a * a,
      products: sums.products + d * a,
    }),
    NO_REQUESTS,
  );

test("by hand: three requests", () => {
  // R = 9/18 = 1/2; residuals 3−2, 1−3, 5−4 = 1, −2, 1; 3/2 · 6 / 18² = 1/36.
  const ratio = ratioOf(
    sumsOf([
      [4, 3],
      [6, 1],
      [8, 5],
    ]),
  )!;
  expect(ratio.value).toBeCloseTo(0.5, 12);
  expect(ratio.variance).toBeCloseTo(1 / 36, 12);
});

test.each([
  ["no request", []],
  ["one request", [[4, 2]]],
  [
    "nothing drafted",
    [
      [0, 0],
      [0, 0],
    ],
  ],
] as [string, Request[]][])("%s: no ratio", (_, requests) => {
  expect(ratioOf(sumsOf(requests))).toBeNull();
});

test("requests that are all alike leave no doubt, and rounding makes none", () => {
  const ratio = ratioOf(sumsOf(Array.from({ length: 1000 }, () => [3, 1] as const)))!;
  expect(ratio.variance).toBeGreaterThanOrEqual(0);
  expect(ratio.variance).toBeLessThan(1e-15);
  expect(compare({ value: 0.5, variance: 0 }, { value: 0.5, variance: 0 }).p).toBe(1);
  expect(compare({ value: 0.6, variance: 0 }, { value: 0.5, variance: 0 }).p).toBe(0);
});

test.each([
  [0, 1],
  [1, 0.3173105],
  [1.959964, 0.05],
  [2.575829, 0.01],
  [4, 6.334248e-5],
])("P(|Z| > %d)", (z, p) => {
  expect(twoSided(z)).toBeCloseTo(p, 6);
});

/** Requests whose own acceptance differs from one to the next, as that of prose and of code does. */
function requestsOf(count: number, mean: number, draw: () => number): Request[] {
  return Array.from({ length: count }, () => {
    const drafted = 20 + Math.floor(draw() * 100);
    const own = mean + (draw() - 0.5) * 0.6;
    let accepted = 0;
    for (let i = 0; i < drafted; i++) if (draw() < own) accepted++;
    return [drafted, accepted] as const;
  });
}

test("equal releases are told apart no more often than the test says; by tokens they would be", () => {
  const draw = random(7);
  const runs = 400;
  let byRequest = 0;
  let byToken = 0;
  for (let run = 0; run < runs; run++) {
    const [a, b] = [sumsOf(requestsOf(60, 0.5, draw)), sumsOf(requestsOf(60, 0.5, draw))];
    if (compare(ratioOf(a)!, ratioOf(b)!).p < 0.05) byRequest++;
    const naive = ({ accepted, drafted }: RequestSums) => {
      const value = accepted / drafted;
      return { value, variance: (value * (1 - value)) / drafted };
    };
    if (compare(naive(a), naive(b)).p < 0.05) byToken++;
  }
  // 5% of 400 is 20, with a standard deviation of 4.4.
  expect(byRequest / runs).toBeGreaterThan(0.02);
  expect(byRequest / runs).toBeLessThan(0.09);
  expect(byToken / runs).toBeGreaterThan(0.3);
});

const TRIAL = { minRequests: 50, looks: 3, significance: 0.05 };
const sample = (count: number, mean: number, seed: number) => sumsOf(requestsOf(count, mean, random(seed)));

test.each([
  ["too few of the canary's", 49, 900, 0.9, 0, { kind: "wait", needed: 50 }],
  ["too few of the current one's", 900, 49, 0.9, 0, { kind: "wait", needed: 50 }],
  ["enough for the first look only", 90, 90, 0.9, 1, { kind: "wait", needed: 100 }],
  ["clearly better", 60, 60, 0.7, 0, { kind: "better" }],
  ["clearly worse", 60, 60, 0.2, 0, { kind: "worse" }],
  ["hardly different", 60, 60, 0.51, 0, { kind: "unsure" }],
  ["hardly different at the last look", 220, 220, 0.5, 2, { kind: "even" }],
] as const)("a canary with %s", (_, canary, current, mean, looked, expected) => {
  const arms = { candidate: sample(canary, mean, 3), baseline: sample(current, 0.5, 5) };
  expect(verdictOf(arms, looked, TRIAL)).toMatchObject(expected);
});

test("the sides of a trial: model drafts, by what the completion began with", () => {
  const row = (
    release: string | null,
    arm: "current" | "canary",
    source: "model" | "lookup",
    requests: number,
  ) => ({
    ...{ ...NO_REQUESTS, requests },
    ...{ release, arm, source },
  });
  const data = [
    row("old", "current", "model", 1),
    row("old", "canary", "model", 10),
    row("new", "canary", "model", 100),
    row("new", "current", "model", 1_000),
    row("new", "canary", "lookup", 10_000),
    row(null, "current", "model", 100_000),
  ];
  const arms = armsOf({ since: "", data, served: [] }, { candidate: "new", baseline: "old" });
  expect([arms.candidate.requests, arms.baseline.requests]).toEqual([1_100, 1]);
});

test("nothing drafted by one arm: it waits, whatever the number of requests", () => {
  const idle = { ...NO_REQUESTS, requests: 500 };
  expect(verdictOf({ candidate: idle, baseline: sample(500, 0.5, 1) }, 0, TRIAL).kind).toBe("wait");
});
