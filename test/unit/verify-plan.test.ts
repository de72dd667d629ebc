import { describe, expect, it } from "vitest";
import { Acceptance } from "../../gpu-service/verify/scheduler/acceptance.ts";
import { CostTable, EMPTY } from "../../gpu-service/verify/scheduler/cost.ts";
import { planHintRows } from "../../gpu-service/verify/scheduler/plan.ts";
import { FakeTarget, reference } from "../support/fake-target.ts";
import { idsOf, schedulerFor, startFrame } from "../support/sequences.ts";

const alone = (...ms: [rows: number, ms: number][]) =>
  new CostTable(ms.map(([rows, time]) => ({ slots: 1, rows, ms: time })));
const chances = (rate: number, length: number) => Array.from({ length }, (_, i) => rate ** (i + 1));

describe("the cost table", () => {
  const table = new CostTable([
    { slots: 1, rows: 4, ms: 16 },
    { slots: 1, rows: 1, ms: 10 },
    { slots: 1, rows: 2, ms: 9 },
    { slots: 4, rows: 4, ms: 20 },
    { slots: 4, rows: 8, ms: 28 },
  ]);
  it("is linear between points and beyond the last", () => {
    expect(table.ms(1, 3)).toBe(12.5);
    expect(table.ms(1, 6)).toBe(23);
  });
  it("never falls with rows: what seems to cost more than more rows was disturbed", () => {
    expect(table.ms(1, 1)).toBe(9);
    expect(table.ms(1, 2)).toBe(9);
  });
  it("takes the graph that holds the sequences, with its idle slots", () => {
    expect(table.ms(3, 3)).toBe(20);
    expect(table.ms(2, 8)).toBe(28);
  });
  it("learns how shapes compare, whatever the machine's pace", () => {
    const learnt = alone([1, 10], [4, 11]);
    for (let i = 0; i < 400; i++) {
      learnt.observe(1, 1, EMPTY, 30);
      learnt.observe(1, 4, EMPTY, 60);
    }
    expect(learnt.ms(1, 4) / learnt.ms(1, 1)).toBeCloseTo(2, 1);
  });
  it("learns nothing about shapes from a machine that is slow in all", () => {
    const learnt = alone([1, 10], [4, 20]);
    for (let i = 0; i < 400; i++) learnt.observe(1, 1, EMPTY, 50);
    expect(learnt.ms(1, 4) / learnt.ms(1, 1)).toBeGreaterThan(1.5);
  });
  it("adds what attention costs over cached text, by sequence and by row, at the machine's pace", () => {
    const far = { read: 1000, looked: 4000 };
    const costly = new CostTable([{ slots: 1, rows: 4, ms: 10 }], { readMs: 0.004, lookMs: 0.001 });
    expect(costly.ms(1, 4, far)).toBe(18);
    for (let i = 0; i < 400; i++) costly.observe(1, 4, far, 36);
    expect(costly.ms(1, 4, far)).toBeCloseTo(36, 1);
    expect(costly.ms(1, 4) / costly.ms(1, 4, far)).toBeCloseTo(10 / 18, 1);
  });
  it("of no points is refused", () => expect(() => new CostTable([])).toThrow("no point"));
});

describe("hint rows", () => {
  const rich = 1e9;
  const one = { slots: 1, tokens: 1, rows: 1 };
  it("are none where they cost more than they bring", () => {
    expect(planHintRows([{ chances: chances(0.3, 8), credit: rich }], one, alone([1, 10], [2, 15]))).toEqual([
      0,
    ]);
  });
  it("are as many as pay", () => {
    const costs = alone([1, 10], [9, 18]);
    const best = [...Array(9).keys()].reduce((a, k) => (gain(k) > gain(a) ? k : a));
    function gain(k: number) {
      return (1 + chances(0.7, k).reduce((x, y) => x + y, 0)) / (10 + k);
    }
    expect(planHintRows([{ chances: chances(0.7, 8), credit: rich }], one, costs)).toEqual([best]);
    expect(best).toBeGreaterThan(1);
  });
  it("look past a step in the cost", () => {
    const costs = alone([1, 10], [2, 15], [8, 15.5]);
    expect(planHintRows([{ chances: chances(0.95, 7), credit: rich }], one, costs)).toEqual([7]);
  });
  it("go to the sequence whose hints are likelier", () => {
    const costs = new CostTable([
      { slots: 2, rows: 2, ms: 10 },
      { slots: 2, rows: 4, ms: 12.5 },
      { slots: 2, rows: 8, ms: 40 },
    ]);
    const offers = [
      { chances: chances(0.4, 4), credit: rich },
      { chances: chances(0.9, 4), credit: rich },
    ];
    expect(planHintRows(offers, { slots: 2, tokens: 2, rows: 2 }, costs)).toEqual([0, 2]);
  });
  it("count what they hold up: beside others that gain nothing by them they must bring more", () => {
    const costs = new CostTable([
      { slots: 4, rows: 4, ms: 10 },
      { slots: 4, rows: 5, ms: 12.5 },
    ]);
    const offers = [{ chances: [0.6], credit: rich }];
    expect(planHintRows(offers, { slots: 4, tokens: 4, rows: 4 }, costs)).toEqual([0]);
    expect(planHintRows(offers, { slots: 4, tokens: 1, rows: 4 }, costs)).toEqual([1]);
  });
  it("leave the others half of their pace, however well they pay", () => {
    const costs = new CostTable([
      { slots: 4, rows: 4, ms: 10 },
      { slots: 4, rows: 68, ms: 42 },
    ]);
    const sure = { chances: chances(1, 64), credit: rich };
    expect(planHintRows([sure], { slots: 4, tokens: 4, rows: 4 }, costs)).toEqual([20]);
    expect(planHintRows([sure], { slots: 1, tokens: 1, rows: 4 }, costs)).toEqual([64]);
    const all = planHintRows([sure, sure, sure, sure], { slots: 4, tokens: 4, rows: 4 }, costs);
    expect(all.reduce((a, b) => a + b)).toBe(64);
  });
  it("keep a step that carries a prompt within its time", () => {
    const sure = { chances: chances(1, 64), credit: rich };
    const costs = alone([1, 10], [11, 20]);
    expect(planHintRows([sure], { slots: 1, tokens: 1, rows: 1, mostMs: 15 }, costs)).toEqual([5]);
  });
  it("go to the text that is cheap to look at, where chances are equal and credit is short", () => {
    const costs = new CostTable(
      [
        { slots: 2, rows: 2, ms: 10 },
        { slots: 2, rows: 4, ms: 12 },
      ],
      { readMs: 0, lookMs: 0.01 },
    );
    const offers = [1000, 10].map((cached) => ({ chances: [0.9], credit: 5, cached }));
    expect(planHintRows(offers, { slots: 2, tokens: 2, rows: 2 }, costs)).toEqual([0, 1]);
  });
  it("never cost more than the sequence's credit", () => {
    expect(planHintRows([{ chances: chances(0.99, 8), credit: 2.5 }], one, alone([1, 10], [9, 18]))).toEqual([
      2,
    ]);
  });
});

describe("acceptance", () => {
  it("begins with what is known of all sequences, and follows its own", () => {
    const all = new Acceptance();
    const first = new Acceptance(all);
    for (let i = 0; i < 100; i++) first.observe("model", 0, false);
    expect(first.rate("model", 0)).toBeLessThan(0.05);
    const second = new Acceptance(all);
    expect(second.rate("model", 0)).toBeLessThan(0.1);
    expect(second.rate("memory", 0)).toBeGreaterThan(0.5);
    for (let i = 0; i < 30; i++) second.observe("model", 0, true);
    expect(second.rate("model", 0)).toBeGreaterThan(0.8);
  });
  it("of places that have not come up yet is like that of the others: right blocks grow long soon", () => {
    const own = new Acceptance(new Acceptance());
    for (let place = 0; place < 7; place++) own.observe("lookup", place, true);
    expect(own.rate("lookup", 20)).toBeGreaterThan(0.85);
  });
});

describe("the ledger", () => {
  /** Milliseconds of a whole run by the cost table. */
  const truth = () => alone([1, 10], [2, 11], [8, 20]);
  async function run(hints: (done: number, output: number[]) => number[]) {
    const costs = truth();
    const model = new FakeTarget(1000, 1, (slots, rows) => truth().ms(slots, rows));
    const scheduler = schedulerFor(model, { costs });
    const start = startFrame(1, [1, 2], { max_tokens: 400 });
    const output = reference(start, 1000);
    scheduler.accept(start);
    const frames = [];
    while (!scheduler.idle) {
      const done = idsOf(frames, 1, 2).length;
      const ids = hints(done, output);
      if (ids.length > 0)
        scheduler.accept({ type: "hint", stream: 1, path: done, at: 2 + done, ids, source: "model" });
      await scheduler.step();
      frames.push(...scheduler.takeFrames());
    }
    expect(idsOf(frames, 1, 2)).toEqual(output);
    return model.steps.reduce((sum, [rows]) => sum + truth().ms(1, rows!), 0) / (400 * 10);
  }

  it("hints that are always wrong cost at most 2%", async () => {
    const cost = await run((done, output) => output.slice(done, done + 4).map((id) => (id + 1) % 12));
    expect(cost).toBeLessThan(1.02);
  });
  it("hints that are right at first and then always wrong too, but for what they had saved", async () => {
    const cost = await run((done, output) =>
      output.slice(done, done + 4).map((id) => (done < 100 ? id : (id + 1) % 12)),
    );
    expect(cost).toBeLessThan(1);
  });
  it("a source that was hopeless and gets better is taken up again", async () => {
    const cost = await run((done, output) =>
      output.slice(done, done + 6).map((id) => (done > 150 ? id : (id + 1) % 12)),
    );
    expect(cost).toBeLessThan(0.8);
  });
  it("hints that are always right save most of the time", async () => {
    expect(await run((done, output) => output.slice(done, done + 8))).toBeLessThan(0.45);
  });
});
