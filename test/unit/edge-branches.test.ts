import { describe, expect, it } from "vitest";
import { Controller } from "../../edge/drafting/controller.ts";
import { DraftedText } from "../../edge/drafting/drafted-text.ts";
import { PortfolioDrafter } from "../../edge/drafting/drafter.ts";
import { Effort } from "../../edge/drafting/effort.ts";
import type { Foretold } from "../../edge/drafting/foretold.ts";
import { Growth } from "../../edge/drafting/growth.ts";
import type { DraftSource, Guess } from "../../edge/drafting/source.ts";
import type { Hint } from "../../edge/link/link.ts";
import { HintStore } from "../../gpu-service/verify/scheduler/hints.ts";
import { ALPHAS, promised, RTTS_MS } from "../../infra/bench/paced/promised.ts";
import { wholeMean } from "../support/paced-whole.ts";
import { randomFrom } from "../support/random.ts";

const foretold = (id: number, runnerUp?: number): Foretold => ({
  ...{ id, grade: 3, source: "model", place: 0 },
  ...(runnerUp !== undefined && { runnerUp: { id: runnerUp, grade: 3 } }),
});

describe("a drafted text", () => {
  /** 10 11 12 is hinted after 1 2; beside 11 there is 21 with 22 and 23 after it. */
  const branched = () => {
    const text = new DraftedText([1, 2]);
    for (const id of [10, 11, 12]) text.hint(foretold(id, id + 10));
    text.branch(3, foretold(22));
    text.branch(3, foretold(23));
    return text;
  };

  it("sends a branch with the hint that it belongs to, once, and then what it grows by", () => {
    const text = branched();
    const branches = [{ at: 3, ids: [21, 22, 23] }];
    expect(text.takeUnsent()).toEqual([{ path: 0, at: 2, ids: [10, 11, 12], source: "model", branches }]);
    expect(text.takeUnsent()).toEqual([]);
    text.branch(3, foretold(24));
    expect(text.takeUnsent()).toEqual([
      { path: 0, at: 3, ids: [11], source: "model", branches: [{ at: 3, from: 3, ids: [24] }] },
    ]);
  });

  it("goes on with a branch that the text takes, on a new path, and sends nothing before there is more to say", () => {
    const text = branched();
    text.takeUnsent();
    expect(text.confirm(10).kind).toBe("came");
    expect(text.confirm(21).kind).toBe("adopted");
    expect(text.hinted.map(({ id }) => id)).toEqual([22, 23]);
    expect(text.ids).toEqual([1, 2, 10, 21, 22, 23]);
    expect(text.takeUnsent()).toEqual([]);
    text.hint(foretold(24));
    expect(text.takeUnsent()).toEqual([{ path: 1, at: 4, ids: [22, 23, 24], source: "model" }]);
    expect(text.confirm(22).kind).toBe("came");
  });

  it("sends all of a branch that the verifier never heard of", () => {
    const text = branched();
    text.confirm(10);
    text.confirm(21);
    expect(text.takeUnsent()).toEqual([{ path: 1, at: 4, ids: [22, 23], source: "model" }]);
  });

  it("sends what is more than a frame may carry in several", () => {
    const text = branched();
    text.takeUnsent();
    text.confirm(10);
    text.confirm(21);
    for (let id = 24; id < 22 + 70; id++) text.hint(foretold(id));
    expect(text.takeUnsent().map(({ at, ids }) => [at, ids.length])).toEqual([
      [4, 64],
      [68, 6],
    ]);
  });

  it("begins anew where neither came, and forgets branches that the text has passed", () => {
    const text = branched();
    text.confirm(10);
    expect(text.confirm(31).kind).toBe("refused");
    expect([text.hinted, text.branches]).toEqual([[], []]);
    const passed = branched();
    passed.confirm(10);
    passed.confirm(11);
    expect(passed.branches).toEqual([]);
    expect(passed.confirm(21).kind).toBe("refused");
  });

  it("hints what the verifier's store then says, whatever is drafted, taken and refused, and however late it hears", () => {
    const random = randomFrom(8);
    for (let round = 0; round < 300; round++) {
      const edge = new DraftedText([1]);
      const store = new HintStore();
      const verified = [1];
      const flying: Hint[] = [];
      for (let n = 0; n < 60; n++) {
        const act = random(4);
        if (act === 0) edge.hint(foretold(random(3), random(3)));
        const at = edge.confirmed + random(4);
        if (act === 1 && edge.hinted[at - edge.confirmed]?.runnerUp) edge.branch(at, foretold(random(3)));
        if (act === 2) flying.push(...edge.takeUnsent());
        if (act < 3) continue;
        for (let all = random(flying.length + 1); all > 0; all--) store.add(flying.shift()!, verified);
        const id = random(3);
        store.advance(verified.length, id);
        verified.push(id);
        edge.confirm(id);
        if (flying.length > 0 || edge.hinted.length === 0) continue;
        // All that was sent has arrived: what leads on there is the edge's own line, as far as it was sent.
        const known = edge.hinted.slice(0, edge.hinted.length - edge.unsent).map((one) => one.id);
        const said = store.next(verified.length, 64)?.ids ?? [];
        expect(said.slice(0, known.length)).toEqual(known);
      }
    }
  });
});

describe("growth", () => {
  const LEAST = 0.02;
  const grown = (grades: number[], secondGrade: number) => {
    const text = new DraftedText([1]);
    grades.forEach((grade, place) => {
      text.hint({ ...foretold(10 + place), grade, place, runnerUp: { id: 20, grade: secondGrade } });
    });
    return new Growth(text, new Controller());
  };

  it("has a branch where a refusal is likeliest, weighed by the chance to get there", () => {
    expect(grown([5, 1, 5], 4).bestBranch(LEAST)?.at).toBe(2);
    expect(grown([1, 1, 1], 4).bestBranch(LEAST)?.at).toBe(1);
  });

  it("has none where the main line is all but certain and the second choice a wild guess", () => {
    const text = new DraftedText([1]);
    const controller = new Controller();
    for (let n = 0; n < 60; n++) controller.learn("model", 5, true);
    for (let n = 0; n < 60; n++) controller.learn("model", 0, false, 0, "second");
    text.hint({ ...foretold(10), grade: 5, runnerUp: { id: 20, grade: 0 } });
    expect(new Growth(text, controller).bestBranch(LEAST)).toBeUndefined();
  });
});

describe("the price of an id", () => {
  const step = (effort: Effort, ids: number, isIdle: boolean) => {
    for (let n = 0; n < ids; n++) effort.drafted();
    if (isIdle) effort.idle();
    effort.confirmed(1);
    // A second frame of the same step.
    effort.confirmed(1);
  };

  it("is high where a step has time for few, and low where it has time for many or drafting runs out of work", () => {
    const effort = new Effort();
    const first = effort.leastReach;
    for (let n = 0; n < 40; n++) step(effort, 3, false);
    expect(effort.leastReach).toBeGreaterThan(10 * first);
    const high = effort.leastReach;
    for (let n = 0; n < 60; n++) step(effort, 3, true);
    expect(effort.leastReach).toBeLessThan(high / 2);
    for (let n = 0; n < 40; n++) step(effort, 32, false);
    expect(effort.leastReach).toBeLessThanOrEqual(first);
  });

  it("is not learnt from the time before the first token, nor where little was worth drafting", () => {
    const effort = new Effort();
    const first = effort.leastReach;
    for (let n = 0; n < 500; n++) effort.drafted();
    effort.confirmed(1);
    for (let n = 0; n < 40; n++) step(effort, 2, true);
    expect(effort.leastReach).toBe(first);
  });

  it("rises where a token has cost more bytes than it should, and falls again", () => {
    const effort = new Effort();
    for (let n = 0; n < 40; n++) step(effort, 48, false);
    const cheap = effort.leastReach;
    effort.sent(100 * 60);
    expect(effort.leastReach).toBeGreaterThan(10 * cheap);
    effort.confirmed(200);
    expect(effort.leastReach).toBe(cheap);
  });
});

describe("a source that is always wrong", () => {
  const settled = () => new Promise((resolve) => setTimeout(resolve, 0));
  it("is silent within 32 tokens, asked more and more rarely, and heard again when it is right", async () => {
    let isRight = false;
    let asked = 0;
    const source: DraftSource = {
      name: "model",
      next(text): Guess {
        asked++;
        return { id: isRight ? text.length : 9_999, grade: 3, runnerUp: { id: 9_998, grade: 2 } };
      },
      close: () => undefined,
    };
    const hints: Hint[] = [];
    const drafter = new PortfolioDrafter([0], 4_000, [source]);
    drafter.start((hint) => hints.push(hint));
    const say = async (count: number) => {
      const before = [hints.length, asked] as const;
      for (let n = 0; n < count; n++) {
        await settled();
        drafter.confirm([position++]);
      }
      return { hints: hints.length - before[0], asked: asked - before[1] };
    };
    let position = 1;
    const first = await say(32);
    expect(first.hints).toBeLessThan(24);
    const later = await say(500);
    expect(later.hints).toBe(0);
    expect(later.asked).toBeLessThan(120);
    isRight = true;
    expect((await say(600)).hints).toBeGreaterThan(0);
    drafter.stop();
  });
});

describe("with an oracle for a draft, a paced target and a network, on a virtual clock", () => {
  const cells = ALPHAS.flatMap((alpha) => RTTS_MS.map((rttMs) => ({ alpha, rttMs })));
  it.each(cells)("alpha $alpha, $rttMs ms: what is promised, in few bytes", async ({ alpha, rttMs }) => {
    const { speedup, bytesPerToken, framesPerToken } = await wholeMean({ alpha, rttMs }, 24);
    expect(speedup).toBeGreaterThan(0.9 * promised(alpha, rttMs));
    expect(bytesPerToken).toBeLessThan(34);
    expect(framesPerToken).toBeLessThan(1);
  });
});

it("near a quick target on a CPU, where an id takes a third of a step, drafts pay or are left", async () => {
  const machine = { stepMs: (rows: number) => 9.8 + 1.5 * rows + 0.012 * rows ** 2, draftMs: 4 };
  for (const [alpha, least] of [
    [0.1, 0.985],
    [0.4, 1.03],
    [0.6, 1.13],
    [0.8, 1.37],
  ] as const) {
    const { speedup, bytesPerToken } = await wholeMean({ alpha, rttMs: 1, machine }, 16);
    expect(speedup, `drafts right at ${alpha}`).toBeGreaterThan(least);
    expect(bytesPerToken, `drafts right at ${alpha}`).toBeLessThan(30);
  }
});
