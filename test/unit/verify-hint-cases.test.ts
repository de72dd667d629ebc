import { expect, it } from "vitest";
import cases from "../cases/hints.json" with { type: "json" };
import { hintCases } from "../support/hint-cases.ts";

it("the table that the vLLM plugin holds to is what the scheduler's own hints do", () => {
  expect(hintCases()).toEqual(cases);
  const foretold = cases.flatMap(({ events }) => events.map(({ next }) => next.length));
  expect(foretold.filter((n) => n > 0).length).toBeGreaterThan(200);
  expect(foretold.filter((n) => n === 0).length).toBeGreaterThan(200);
});
