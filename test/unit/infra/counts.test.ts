import { describe, expect, it } from "vitest";
import { countJunit, countVitest, summary, withExitCode } from "../../../infra/check/counts.ts";

describe("what the runners report", () => {
  it("counts vitest's tests, and a file that does not load as one failure", () => {
    const report = {
      numPassedTests: 3,
      numFailedTests: 1,
      numPendingTests: 2,
      testResults: [
        { status: "passed", assertionResults: [{}, {}, {}] },
        { status: "failed", assertionResults: [{}] },
        { status: "failed", assertionResults: [] },
      ],
    };
    expect(countVitest(JSON.stringify(report))).toEqual({ passed: 3, failed: 2, skipped: 2 });
  });

  it("counts pytest's failures and errors", () => {
    const xml =
      '<testsuites><testsuite name="pytest" errors="1" failures="2" skipped="1" tests="10" time="1">';
    expect(countJunit(xml)).toEqual({ passed: 6, failed: 3, skipped: 1 });
  });

  it("does not let a crashed runner pass", () => {
    expect(withExitCode({ passed: 4, failed: 0, skipped: 0 }, 2).failed).toBe(1);
    expect(withExitCode({ passed: 4, failed: 3, skipped: 0 }, 1).failed).toBe(3);
    expect(withExitCode({ passed: 4, failed: 0, skipped: 0 }, 0).failed).toBe(0);
  });

  it("ends with one line", () => {
    expect(summary({ passed: 7, failed: 0, skipped: 0 })).toBe("7 passed, 0 failed");
    expect(summary({ passed: 7, failed: 1, skipped: 2 })).toBe("7 passed, 1 failed, 2 skipped");
  });
});
