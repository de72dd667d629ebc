import { describe, expect, it } from "vitest";
import { countLines, editLines } from "../../infra/bench/speedup/edited.ts";
import { makeSuites } from "../../infra/bench/speedup/suites.ts";

const TEXT = Array.from({ length: 40 }, (_, n) => `    total_${n} = add(total, ${n})`).join("\n");

describe("a text with a tenth of its lines changed", () => {
  const kept = (edited: string) => {
    const lines = new Set(edited.split("\n"));
    return TEXT.split("\n").filter((line) => lines.has(line)).length;
  };

  it.each([0, 1, 2, 3, 4, 5, 6, 7])("keeps all others (seed %i)", (seed) => {
    const edited = editLines(TEXT, seed);
    expect(edited).not.toBe(TEXT);
    // An insertion keeps the line that it stands before.
    expect(kept(edited)).toBeGreaterThanOrEqual(36);
    expect(Math.abs(countLines(edited) - 40)).toBeLessThanOrEqual(4);
  });

  it("depends on its seed alone", () => {
    expect(editLines(TEXT, 3)).toBe(editLines(TEXT, 3));
    expect(new Set([0, 1, 2, 3].map((seed) => editLines(TEXT, seed))).size).toBe(4);
  });

  it("changes one line at least, and only lines that hold something", () => {
    expect(editLines("\n\nonly_line\n\n", 1)).not.toBe("\n\nonly_line\n\n");
    expect(editLines("\n \n", 1)).toBe("\n \n");
    expect(countLines("a\n\n  \nb\n")).toBe(2);
  });
});

describe("the suites", () => {
  const code = [0, 1, 2].map((n) => ({ name: `HumanEval/${n}`, request: { prompt: `def f${n}():` } }));
  const chat = [{ name: "chat/0", request: { messages: [{ role: "user" as const, content: "Why?" }] } }];
  const suites = makeSuites(code, chat);

  it("let only the repeated prompts be remembered, and those are others than come first elsewhere", () => {
    expect(suites.filter(({ memory }) => memory).map(({ name }) => name)).toEqual(["repeat"]);
    expect(suites.find(({ name }) => name === "repeat")!.prompts.map(({ name }) => name)).toEqual([
      "HumanEval/2",
      "chat/0",
    ]);
  });

  it("ask for edits as chat completions, whose field `prediction` is", () => {
    const edits = suites.find(({ name }) => name === "edits")!;
    expect(edits.predicts).toBe(true);
    for (const { request } of edits.prompts) expect(request).toHaveProperty("messages");
  });
});
