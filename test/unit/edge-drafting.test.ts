import { describe, expect, it, vi } from "vitest";
import { Controller } from "../../edge/drafting/controller.ts";
import { PortfolioDrafter } from "../../edge/drafting/drafter.ts";
import { Lookup } from "../../edge/drafting/lookup.ts";
import type { DraftSource, Guess } from "../../edge/drafting/source.ts";
import type { Hint } from "../../edge/link/link.ts";
import { inTurn } from "../../edge/link/replicas.ts";
import { randomFrom } from "../support/random.ts";

describe("lookup", () => {
  /** What it says about a text that is all confirmed. */
  const following = (text: number[]) => new Lookup().next(text, text.length)?.id ?? null;

  it("says what followed the same three ids", () => {
    expect(following([1, 2, 3, 9, 1, 2, 3])).toBe(9);
    expect(following([1, 2, 3, 9, 5, 2, 3])).toBeNull();
    expect(following([1, 2])).toBeNull();
    expect(following([4, 4, 4, 4])).toBe(4);
  });

  it("prefers the longest agreement, then the newest", () => {
    expect(following([7, 1, 2, 3, 8, 1, 2, 3, 9, 7, 1, 2, 3])).toBe(8);
    expect(following([1, 2, 3, 8, 1, 2, 3, 9, 1, 2, 3])).toBe(9);
  });

  it("is surer the longer the agreement", () => {
    const grade = (length: number) => {
      const text = Array.from({ length }, (_, i) => i);
      return new Lookup().next([...text, 99, ...text], 2 * length + 1)!.grade;
    };
    expect([3, 4, 6, 8, 12, 20].map(grade)).toEqual([0, 1, 2, 3, 4, 5]);
  });

  it("follows one place while the text agrees with it", () => {
    const lookup = new Lookup();
    const text = [1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3];
    const said: number[] = [];
    for (let n = 0; n < 5; n++) {
      const guess = lookup.next(text, 11)!;
      said.push(guess.id);
      text.push(guess.id);
    }
    expect(said).toEqual([4, 5, 6, 7, 8]);
  });

  it("agrees with a search through the whole text, whatever is drafted, refused and confirmed", () => {
    const random = randomFrom(5);
    for (let round = 0; round < 200; round++) {
      const lookup = new Lookup();
      const text = Array.from({ length: random(20) }, () => random(3));
      for (let step = 0; step < 30; step++) {
        const confirmed = text.length;
        for (let ahead = random(4); ahead > 0; ahead--) {
          const guess = lookup.next(text, confirmed);
          if (!guess) break;
          text.push(guess.id);
        }
        text.length = confirmed;
        const guess = lookup.next(text, confirmed);
        expect(guess !== null).toBe(occursBefore(text, confirmed));
        text.push(random(3));
      }
    }
  });

  const occursBefore = (text: number[], confirmed: number) => {
    const key = text.slice(-3).join();
    for (let end = 3; end < Math.min(text.length, confirmed + 1); end++) {
      if (text.length >= 3 && text.slice(end - 3, end).join() === key) return true;
    }
    return false;
  };
});

describe("the controller", () => {
  it("begins with the priors and ends with what it saw", () => {
    const controller = new Controller();
    const before = controller.chance("model", 5);
    expect(before).toBeGreaterThan(0.9);
    for (let n = 0; n < 32; n++) controller.learn("model", 5, false);
    expect(controller.chance("model", 5)).toBeLessThan(0.3);
    expect(controller.chance("lookup", 5)).toBeCloseTo(0.9);
  });

  it("judges a grade of which it saw nothing by the source's others", () => {
    const controller = new Controller();
    expect(controller.chance("model", 4)).toBeCloseTo(0.75);
    for (let n = 0; n < 32; n++) controller.learn("model", 5, false);
    expect(controller.chance("model", 4)).toBeLessThan(0.2);
  });

  it("forgets: a source that became good is heard again", () => {
    const controller = new Controller();
    for (let n = 0; n < 1_000; n++) controller.learn("lookup", 0, false);
    for (let n = 0; n < 64; n++) controller.learn("lookup", 0, true);
    expect(controller.chance("lookup", 0)).toBeGreaterThan(0.6);
  });
});

describe("the drafter", () => {
  /** A source that foretells the position's number, surely. */
  const counting = (grade = 5): DraftSource => ({
    name: "model",
    next: (text): Guess => ({ id: text.length, grade }),
    close: vi.fn(),
  });
  const settled = () => new Promise((resolve) => setTimeout(resolve, 1));
  const idsOf = (hints: Hint[]) => hints.flatMap(({ at, ids }) => ids.map((id, i) => [at + i, id]));

  it("hints ahead at once, up to its limit, first id first", async () => {
    const hints: Hint[] = [];
    new PortfolioDrafter([0, 1, 2], 100, [counting()]).start((hint) => hints.push(hint));
    await settled();
    expect(hints[0]).toMatchObject({ path: 0, at: 3, source: "model" });
    expect(idsOf(hints)).toEqual(idsOf(hints).map((_, i) => [i + 3, i + 3]));
    expect(hints[0]!.ids.length).toBeGreaterThan(12);
  });

  it("drafts on when its hints come true, on the same path", async () => {
    const hints: Hint[] = [];
    const drafter = new PortfolioDrafter([0, 1, 2], 300, [counting()]);
    drafter.start((hint) => hints.push(hint));
    await settled();
    const last = idsOf(hints).at(-1)![0]!;
    hints.length = 0;
    drafter.confirm(Array.from({ length: 12 }, (_, i) => i + 3));
    await settled();
    const next = idsOf(hints);
    expect(next.length).toBeGreaterThanOrEqual(12);
    expect(next).toEqual(next.map((_, i) => [last + 1 + i, last + 1 + i]));
    expect(new Set(hints.map(({ path }) => path))).toEqual(new Set([0]));
  });

  it("begins a new path at the confirmed end after a refusal", async () => {
    const hints: Hint[] = [];
    const drafter = new PortfolioDrafter([0, 1, 2], 100, [counting()]);
    drafter.start((hint) => hints.push(hint));
    await settled();
    hints.length = 0;
    drafter.confirm([3, 99]);
    await settled();
    expect(hints[0]).toMatchObject({ path: 1, at: 5 });
    expect(hints[0]!.ids.slice(0, 2)).toEqual([5, 6]);
  });

  it("hints nothing for the last token and nothing beyond the cap", async () => {
    const hints: Hint[] = [];
    new PortfolioDrafter([0, 1, 2], 4, [counting()]).start((hint) => hints.push(hint));
    await settled();
    expect(idsOf(hints)).toEqual([
      [3, 3],
      [4, 4],
      [5, 5],
    ]);
  });

  it("sends no guess that is not worth it, and says less the more it was wrong", async () => {
    const hints: Hint[] = [];
    new PortfolioDrafter([0, 1, 2], 100, [counting(0)]).start((hint) => hints.push(hint));
    await settled();
    expect(hints).toEqual([]);

    hints.length = 0;
    const drafter = new PortfolioDrafter([0, 1, 2], 100, [counting(3)]);
    drafter.start((hint) => hints.push(hint));
    await settled();
    const before = idsOf(hints).length;
    for (let n = 0; n < 40; n++) {
      drafter.confirm([999]);
      await settled();
    }
    hints.length = 0;
    drafter.confirm([999]);
    await settled();
    expect(before).toBeGreaterThan(2);
    expect(idsOf(hints).length).toBeLessThanOrEqual(1);
  });

  it("asks the next source where the first has nothing to say", async () => {
    const hints: Hint[] = [];
    const silent: DraftSource = { name: "lookup", next: () => null, close: () => undefined };
    new PortfolioDrafter([0, 1, 2], 100, [silent, counting()]).start((hint) => hints.push(hint));
    await settled();
    expect(hints[0]!.source).toBe("model");
  });

  it("drops a guess that was made for a text that is gone", async () => {
    const hints: Hint[] = [];
    let answer: ((guess: Guess) => void) | undefined;
    const slow: DraftSource = {
      name: "model",
      next: () => new Promise((resolve) => (answer = resolve)),
      close: () => undefined,
    };
    const drafter = new PortfolioDrafter([0, 1, 2], 100, [slow]);
    drafter.start((hint) => hints.push(hint));
    await settled();
    drafter.confirm([50]);
    answer!({ id: 3, grade: 5 });
    await settled();
    expect(hints).toEqual([]);
    answer!({ id: 51, grade: 5 });
    await settled();
    answer!({ id: 52, grade: 5 });
    await settled();
    expect(hints).toMatchObject([{ path: 0, at: 4, ids: [51, 52] }]);
  });

  it("gives its sources back when it stops or fails", async () => {
    const source = counting();
    const drafter = new PortfolioDrafter([0, 1, 2], 100, [source]);
    drafter.stop();
    drafter.stop();
    expect(source.close).toHaveBeenCalledTimes(1);

    const complaints = vi.spyOn(console, "error").mockImplementation(() => undefined);
    const failing = { ...counting(), next: () => Promise.reject(new Error("no memory")) };
    new PortfolioDrafter([0, 1, 2], 100, [failing]).start(() => undefined);
    await settled();
    expect(failing.close).toHaveBeenCalled();
    expect(complaints.mock.calls.flat().join()).toContain("no memory");
    complaints.mockRestore();
  });
});

describe("replicas", () => {
  it("are tried in an order of the prompt's beginning, all of them", () => {
    const names = ["a", "b", "c"];
    const prompts = Array.from({ length: 60 }, (_, i) => [i, 1, 2]);
    const firsts = new Set(prompts.map((prompt) => inTurn(names, prompt)[0]));
    expect(firsts).toEqual(new Set(names));
    for (const prompt of prompts) expect(inTurn(names, prompt).sort()).toEqual(names);
    const long = Array.from({ length: 40 }, (_, i) => i);
    expect(inTurn(names, [...long, 1])).toEqual(inTurn(names, [...long, 2]));
  });
});
