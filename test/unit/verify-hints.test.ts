import { describe, expect, it } from "vitest";
import { type Hint, HintStore, MAX_WAITING_IDS } from "../../gpu-service/verify/scheduler/hints.ts";

const hint = (path: number, at: number, ids: number[], more: Partial<Hint> = {}): Hint => ({
  path,
  at,
  ids,
  source: "model",
  ...more,
});
/** A store and its text; `say` commits one id after the other. */
function given(text: number[], ...hints: Hint[]) {
  const store = new HintStore();
  for (const h of hints) store.add(h, text);
  return {
    store,
    text,
    say(...ids: number[]) {
      for (const id of ids) {
        store.advance(text.length, id);
        text.push(id);
      }
      return this;
    },
    next: (most = 64) => store.next(text.length, most)?.ids,
  };
}

describe("a hint on the committed path", () => {
  it("leads on from the end of the text", () => {
    expect(given([1, 2], hint(0, 2, [3, 4, 5])).next()).toEqual([3, 4, 5]);
  });
  it("is cut to what is asked for", () => {
    expect(given([1, 2], hint(0, 2, [3, 4, 5])).next(2)).toEqual([3, 4]);
  });
  it("that began before the end counts from the end on", () => {
    expect(given([1, 2, 3], hint(0, 1, [2, 3, 4, 5])).next()).toEqual([4, 5]);
  });
  it("that ends before the end says nothing", () => {
    expect(given([1, 2, 3], hint(0, 1, [2])).next()).toBeUndefined();
  });
  it("that comes early waits until the text is there", () => {
    const t = given([1], hint(0, 3, [4, 5]));
    expect(t.next()).toBeUndefined();
    expect(t.say(2, 3).next()).toEqual([4, 5]);
  });
  it("joins what was hinted before on the same path", () => {
    expect(given([1], hint(0, 1, [2, 3]), hint(0, 3, [4])).next()).toEqual([2, 3, 4]);
  });
  it("may go on with another source's: each id names its own", () => {
    const t = given([1], hint(0, 1, [2]), hint(0, 2, [3, 4], { source: "lookup" }));
    expect(t.store.next(1, 8)).toEqual({ ids: [2, 3, 4], sources: ["model", "lookup", "lookup"] });
  });
  it("is bounded in how far ahead it may lie", () => {
    const t = given([1], hint(0, 1 + MAX_WAITING_IDS, [9]));
    expect(t.say(...Array(MAX_WAITING_IDS).fill(1)).next()).toBeUndefined();
  });
});

describe("paths", () => {
  it("a newer path drops what waited of older ones", () => {
    expect(given([1], hint(0, 1, [2, 3]), hint(1, 1, [7])).next()).toEqual([7]);
  });
  it("a late hint of an older path is dropped", () => {
    expect(given([1], hint(1, 1, [7]), hint(0, 2, [8])).next()).toEqual([7]);
  });
  it("a refusal drops the rest of the path", () => {
    const t = given([1], hint(0, 1, [2, 3, 4])).say(9);
    expect(t.next()).toBeUndefined();
    expect(t.say(3).next()).toBeUndefined();
  });
  it("a hint that comes late for a refused path is dropped, even if it would fit by position", () => {
    const t = given([1], hint(0, 1, [2, 3])).say(9);
    t.store.add(hint(0, 2, [4]), t.text);
    expect(t.next()).toBeUndefined();
    t.store.add(hint(1, 2, [5]), t.text);
    expect(t.next()).toEqual([5]);
  });
  it("a hint that disagrees with the text on arrival refuses its path", () => {
    const t = given([1, 2, 3], hint(0, 1, [2, 8, 4]));
    expect(t.next()).toBeUndefined();
    t.store.add(hint(0, 3, [4]), t.text);
    expect(t.next()).toBeUndefined();
  });
});

describe("branches", () => {
  const branched = hint(0, 1, [2, 3, 4], { branches: [{ at: 2, ids: [7, 8, 9] }] });
  it("are followed where the text leaves the line for them", () => {
    expect(given([1], branched).say(2, 7).next()).toEqual([8, 9]);
    expect(given([1], branched).say(2, 7, 8).next()).toEqual([9]);
  });
  it("stay behind while the line holds, and fall away after their position", () => {
    const t = given([1], branched).say(2, 3);
    expect(t.next()).toEqual([4]);
    expect(t.say(4).next()).toBeUndefined();
  });
  it("are not followed where the text goes a third way", () => {
    expect(given([1], branched).say(2, 5).next()).toBeUndefined();
  });
  it("that begin after a refusal hang in the air", () => {
    expect(given([1], branched).say(6, 7).next()).toBeUndefined();
  });
  it("arriving late are followed if they agree with the text", () => {
    const t = given([1, 2, 7]);
    t.store.add(branched, t.text);
    expect(t.next()).toEqual([8, 9]);
  });
  it("are dropped by a newer path", () => {
    const t = given([1], branched, hint(1, 1, [2])).say(2, 7);
    expect(t.next()).toBeUndefined();
  });
  it("of two, the one that agrees is followed", () => {
    const two = hint(0, 1, [2], {
      branches: [
        { at: 1, ids: [5, 6] },
        { at: 1, ids: [7, 8] },
      ],
    });
    expect(given([1], two).say(7).next()).toEqual([8]);
  });
});

describe("what a branch has grown by", () => {
  const line = hint(0, 1, [2, 3, 4], { branches: [{ at: 2, ids: [7, 8] }] });
  const more = (from: number, ids: number[], path = 0, at = 2) =>
    hint(path, 2, [3], { branches: [{ at, from, ids }] });

  it("is followed as if it had been there from the beginning", () => {
    expect(
      given([1], line, more(2, [9, 5]), more(4, [6]))
        .say(2, 7)
        .next(),
    ).toEqual([8, 9, 5, 6]);
  });
  it("joins a branch that the text is on, or has followed to its end or beyond", () => {
    const late = (...ids: number[]) => {
      const t = given([1], line).say(2, ...ids);
      t.store.add(more(2, [9, 5]), t.text);
      return t.next();
    };
    expect(late(7)).toEqual([8, 9, 5]);
    expect(late(7, 8)).toEqual([9, 5]);
    expect(late(7, 8, 9)).toEqual([5]);
    expect(late(7, 8, 9, 5)).toBeUndefined();
    expect(late(7, 8, 6)).toBeUndefined();
    expect(late(7, 6)).toBeUndefined();
    expect(late(3)).toEqual([4]);
  });
  it("joins one that came when the text had passed its end already", () => {
    const t = given([1, 2, 7, 8, 9], line, more(2, [9, 5]));
    expect(t.next()).toEqual([5]);
  });
  it("is ignored where the branch is not known, or not so far, or further", () => {
    const led = (...hints: Hint[]) =>
      given([1], line, ...hints)
        .say(2, 7)
        .next();
    expect(led(more(3, [9]))).toEqual([8]);
    expect(led(more(1, [9]))).toEqual([8]);
    expect(led(more(2, [9], 0, 1))).toEqual([8]);
    expect(led(more(2, [9]), more(2, [6]))).toEqual([8, 9]);
    expect(
      given([1], hint(0, 1, [2, 3]), more(2, [9]))
        .say(2, 7)
        .next(),
    ).toBeUndefined();
  });
  it("is ignored of a path before, and does not join a branch of one", () => {
    expect(
      given([1], line, hint(1, 1, [2, 3]), more(2, [9]))
        .say(2, 7)
        .next(),
    ).toBeUndefined();
    const followed = given([1], line).say(2, 7);
    followed.store.add(more(2, [9], 1), followed.text);
    expect(followed.next()).toEqual([8]);
  });
  it("is bounded", () => {
    const ones = (count: number): number[] => Array(count).fill(1);
    const t = given([1], hint(0, 1, [2], { branches: [{ at: 1, ids: ones(60) }] }), more(60, ones(60), 0, 1));
    expect(t.say(1).next(200)).toEqual(ones(63));
    t.store.add(more(64, [5], 0, 1), t.text);
    expect(t.next(200)).toHaveLength(63);
  });
  it("may be said again with the whole branch", () => {
    const whole = hint(0, 2, [3], { branches: [{ at: 2, ids: [7, 8, 9, 5] }] });
    expect(given([1], line, whole).say(2, 7).next()).toEqual([8, 9, 5]);
    expect(
      given([1], line, more(2, [9]), whole)
        .say(2, 7)
        .next(),
    ).toEqual([8, 9, 5]);
  });
});
