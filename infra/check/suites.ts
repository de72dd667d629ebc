/** The suites of `npm test`, each with the runner that it needs. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ROOT } from "../start/paths.ts";
import { add, type Counts, countJunit, countVitest, NONE, withExitCode } from "./counts.ts";
import { run } from "./run.ts";

export const SUITES = ["lint", "unit", "workerd", "service", "training"] as const;
export type Suite = (typeof SUITES)[number];

const TRAINER = join(ROOT, "gpu-service/training/trainer");

/** `python`: of the trainer's environment, with the tools of its requirements-dev.txt. */
export function runSuite(suite: Suite, python: string): Promise<Counts> {
  switch (suite) {
    case "lint":
      return lint(python);
    case "unit":
    case "workerd":
    case "service":
      return vitest(suite);
    case "training":
      return pytest(python);
  }
}

/** Each tool counts as one test. */
async function lint(python: string): Promise<Counts> {
  const tools: [string, ...string[]][] = [
    ["biome", "check", "."],
    ["tsc", "--noEmit"],
    [python, "-m", "ruff", "check", TRAINER, "test/training"],
    [python, "-m", "mypy", "--config-file", join(TRAINER, "pyproject.toml"), TRAINER],
  ];
  let counts = NONE;
  for (const [command, ...args] of tools) {
    const code = await run(command, args);
    const name = command === python ? args[1] : command;
    console.log(`${name}: ${code === 0 ? "passed" : "FAILED"}`);
    counts = add(counts, code === 0 ? { ...NONE, passed: 1 } : { ...NONE, failed: 1 });
  }
  return counts;
}

const vitest = (project: string): Promise<Counts> =>
  withReport("report.json", countVitest, (report) =>
    run("vitest", [
      "run",
      "--project",
      project,
      "--reporter=default",
      "--reporter=json",
      `--outputFile=${report}`,
    ]),
  );

const pytest = (python: string): Promise<Counts> =>
  withReport("report.xml", countJunit, (report) =>
    run(python, ["-m", "pytest", "test/training", "-q", "--durations=5", `--junitxml=${report}`]),
  );

/** A runner that wrote no report counts as one failure. */
async function withReport(
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
