/** The suites of tests, each with the runner that it needs. */
import { join } from "node:path";
import { PLUGIN } from "../models/vllm-env.ts";
import { ROOT } from "../start/paths.ts";
import { add, type Counts, countJunit, countVitest, NONE } from "./counts.ts";
import { runRay } from "./ray.ts";
import { withReport } from "./report.ts";
import { run } from "./run.ts";
import type { Suite } from "./suite-names.ts";
import { runVllm } from "./vllm.ts";

const TRAINER = join(ROOT, "gpu-service/training/trainer");
const TRAINER_TESTS = join(ROOT, "test/training");
const VLLM_TESTS = join(ROOT, "test/vllm");
const CLIENT_TESTS = join(ROOT, "test/clients");

/** `python`: of the trainer's environment, with the tools of `requirements.txt` here. */
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
    case "ray":
      return runRay((line) => console.log(line));
    case "vllm":
      return runVllm((line) => console.log(line));
  }
}

/** Each tool counts as one test. */
async function lint(python: string): Promise<Counts> {
  const tools: { name: string; command: string; args: string[]; cwd?: string }[] = [
    { name: "biome", command: "biome", args: ["check", "--error-on-warnings", "."] },
    { name: "tsc", command: "tsc", args: ["--noEmit"] },
    {
      name: "ruff",
      command: python,
      args: ["-m", "ruff", "check", ".", TRAINER_TESTS, CLIENT_TESTS],
      cwd: TRAINER,
    },
    {
      name: "ruff of the vLLM plugin",
      command: python,
      args: ["-m", "ruff", "check", ".", VLLM_TESTS],
      cwd: PLUGIN,
    },
    { name: "mypy", command: python, args: ["-m", "mypy", "trainer", "checkpoints"], cwd: TRAINER },
  ];
  let counts = NONE;
  for (const { name, command, args, cwd } of tools) {
    const code = await run(command, args, cwd);
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
    run(python, ["-m", "pytest", TRAINER_TESTS, "-q", "--durations=5", `--junitxml=${report}`], TRAINER),
  );
