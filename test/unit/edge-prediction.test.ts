import { describe, expect, it } from "vitest";
import { Prediction } from "../../edge/drafting/prediction.ts";

const PROMPT = [900, 901, 902];
const NEWLINE = 10;
/** Ten lines of a line break, an indent and six ids of the line's own. */
const line = (n: number) => [...[1, 2, 3, 4, 5, 6].map((k) => 100 + 10 * n + k), NEWLINE, 11];
const lines = Array.from({ length: 10 }, (_, n) => line(n));
const original = lines.flat();

/** Ids of `output` that the prediction foretells, each asked for with all before it confirmed. */
function hits(predicted: readonly number[], output: readonly number[]): number {
  const source = new Prediction(predicted, PROMPT.length);
  const text = [...PROMPT];
  let count = 0;
  for (const id of output) {
    if (source.next(text, text.length)?.id === id) count++;
    text.push(id);
  }
  return count;
}

const without = (from: number, count: number) => original.toSpliced(from, count);
describe("a prediction", () => {
  /** Edits of the output beside the prediction: how many of its ids it misses. */
  const edits: [string, number[], number][] = [
    ["none", original, 0],
    ["an id replaced", original.with(20, 999), 1],
    ["two ids in a row replaced", original.with(20, 998).with(21, 999), 3],
    ["an id inserted", original.toSpliced(20, 0, 999), 2],
    ["three ids inserted", original.toSpliced(20, 0, 997, 998, 999), 4],
    ["an id removed", without(20, 1), 1],
    ["a whole line removed", without(24, 8), 1],
    ["a line inserted", original.toSpliced(24, 0, 991, 992, 993, 994, NEWLINE, 11), 6],
    ["a line replaced by a shorter one", original.toSpliced(24, 6, 991, 992), 3],
    [
      "a line replaced by a longer one",
      original.toSpliced(24, 6, ...[1, 2, 3, 4, 5, 6, 7, 8, 9].map((k) => 980 + k)),
      10,
    ],
    ["three lines removed", without(24, 24), 1],
    ["two lines exchanged", [...lines[0]!, ...lines[2]!, ...lines[1]!, ...lines.slice(3).flat()], 3],
    ["a beginning of its own", [980, 981, 982, NEWLINE, ...original], 5],
    [
      "a tenth of it changed, in three places",
      original.with(10, 991).toSpliced(40, 3).toSpliced(60, 0, 992, 993),
      5,
    ],
  ];
  it.each(edits)("foretells all but the edit: %s", (_, output, missed) => {
    expect(output.length - hits(original, output)).toBe(missed);
  });

  it("says the rest of itself at once, beyond what is confirmed", () => {
    const source = new Prediction(original, PROMPT.length);
    const text = [...PROMPT];
    for (const id of original) {
      expect(source.next(text, PROMPT.length)?.id).toBe(id);
      text.push(id);
    }
    expect(source.next(text, PROMPT.length)).toBeNull();
    // What was drafted was wrong from the fourth id on.
    const refused = [...PROMPT, ...original.slice(0, 3), 999];
    expect(source.next(refused, refused.length)?.id).toBe(original[4]);
  });

  it("follows a line that others drafted", () => {
    const source = new Prediction(original, PROMPT.length);
    expect(source.next([...PROMPT, ...original.slice(0, 5)], PROMPT.length)?.id).toBe(original[5]);
    expect(source.next([...PROMPT, ...original.slice(0, 3)], PROMPT.length)?.id).toBe(original[3]);
  });

  it("is surer the more the text agrees with it", () => {
    const source = new Prediction(original, 0);
    const output = original.with(20, 999);
    const grades = [20, 21, 22, 24, 27, 40].map((end) => source.next(output.slice(0, end), end)!.grade);
    expect(grades).toEqual([5, 0, 1, 3, 4, 5]);
  });

  it("has nothing to say of a text that has nothing to do with it", () => {
    const strange = Array.from({ length: 60 }, (_, i) => 2000 + i);
    expect(hits(original, strange)).toBe(0);
  });
});
