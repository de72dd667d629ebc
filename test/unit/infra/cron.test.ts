import { describe, expect, it } from "vitest";
import { cronMatches, readCrons } from "../../../infra/start/cron.ts";

const at = (iso: string) => new Date(`${iso}Z`);

describe("cron expressions", () => {
  it.each([
    ["* * * * *", "2026-11-24T06:50:00", true],
    ["0 3 * * *", "2026-11-24T03:00:00", true],
    ["0 3 * * *", "2026-11-24T03:01:00", false],
    ["*/15 * * * *", "2026-11-24T06:45:00", true],
    ["*/15 * * * *", "2026-11-24T06:50:00", false],
    ["5-10 * * * *", "2026-11-24T06:10:00", true],
    ["5-10/2 * * * *", "2026-11-24T06:10:00", false],
    ["10/20 * * * *", "2026-11-24T06:50:00", true],
    ["1,31 * * * *", "2026-11-24T06:31:00", true],
    // 24 November 2026 is a Tuesday, the third day of Cloudflare's week.
    ["0 0 * * 3", "2026-11-24T00:00:00", true],
    ["0 0 * * 2", "2026-11-24T00:00:00", false],
    ["0 0 1 * 3", "2026-11-24T00:00:00", true],
    ["0 0 1 * 4", "2026-11-24T00:00:00", false],
  ])("%s at %s: %s", (expression, time, expected) => {
    expect(cronMatches(expression, at(time))).toBe(expected);
  });

  it("refuses what it cannot read", () => {
    expect(() => cronMatches("0 3 * *", at("2026-11-24T03:00:00"))).toThrow(/five fields/);
    expect(() => cronMatches("x 3 * * *", at("2026-11-24T03:00:00"))).toThrow(/cannot read "x"/);
  });

  it("reads the worker's list", () => {
    expect(readCrons('[triggers]\ncrons = ["0 3 * * *", "*/5 * * * *"]\n')).toEqual([
      "0 3 * * *",
      "*/5 * * * *",
    ]);
    expect(readCrons("[vars]\n")).toEqual([]);
  });
});
