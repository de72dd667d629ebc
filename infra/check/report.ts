/** Runs a test runner that writes a report to a file, and counts what it says. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Counts, NONE, withExitCode } from "./counts.ts";

/** A runner that wrote no report counts as one failure. */
export async function withReport(
  name: string,
  count: (text: string) => Counts,
  runTo: (report: string) => Promise<number>,
): Promise<Counts> {
  const folder = mkdtempSync(join(tmpdir(), "outrider-report-"));
  try {
    const report = join(folder, name);
    const code = await runTo(report);
    if (!existsSync(report)) return { ...NONE, failed: 1 };
    return withExitCode(count(readFileSync(report, "utf8")), code);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
