import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { fetchHumanEvalPrompts, readChatPrompts } from "../../infra/bench/prompts.ts";
import { startTemporarySystem } from "../../infra/bench/temporary-system.ts";
import { checkLossless, type Report } from "../../infra/check/losslessness.ts";
import { ensureConvertPython } from "../../infra/models/python-env.ts";
import { openDataFolder } from "../../infra/start/paths.ts";
import type { System } from "../../infra/start/system.ts";

const MAX_TOKENS = 32;

/** A sample of `npm run check:lossless`. */
describe("drafts cannot change a text of the default target", () => {
  let system: System | undefined;
  let report: Report;

  beforeAll(async () => {
    const data = openDataFolder();
    const python = await ensureConvertPython(data, () => {});
    const humanEval = await fetchHumanEvalPrompts(data.cache, python.path);
    system = await startTemporarySystem({ target: "smollm2", testHints: true });
    report = await checkLossless(
      system,
      [...humanEval.slice(0, 4), ...readChatPrompts().slice(0, 2)],
      MAX_TOKENS,
    );
  });
  afterAll(() => system?.stop());

  it("completes every request", () => {
    expect(report.failures).toEqual([]);
    expect(report.compared).toBe(6 * 2 * 3);
  });

  it("gives the ids of the run without drafts under honest, random and adversarial hints", () => {
    expect(report.differences).toEqual([]);
  });

  it("verified hints of every kind, or the comparison would show nothing", () => {
    for (const counts of Object.values(report.counts)) expect(counts.drafted).toBeGreaterThan(0);
    expect(report.counts.honest.accepted).toBeGreaterThan(0);
  });
});
