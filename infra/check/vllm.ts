/** The suite `vllm`: its Python package by itself, and the engine with a tiny model in vLLM on this machine's CPU. */
import { join } from "node:path";
import { ensureVllmPython } from "../models/vllm-env.ts";
import { openDataFolder, ROOT } from "../start/paths.ts";
import { add, type Counts, countJunit, countVitest } from "./counts.ts";
import { withReport } from "./report.ts";
import { run } from "./run.ts";

const TESTS = join(ROOT, "test/vllm");

/** Makes the environment first (several GB, once). Throws StartError where that cannot be done: it is never skipped. */
export async function runVllm(say: (line: string) => void): Promise<Counts> {
  const python = await ensureVllmPython(openDataFolder(), say);
  const units = await withReport("report.xml", countJunit, (report) =>
    run(python, ["-m", "pytest", TESTS, "-q", "-p", "no:cacheprovider", `--junitxml=${report}`]),
  );
  const config = join(TESTS, "vitest.config.ts");
  const engine = await withReport("report.json", countVitest, (report) =>
    run("vitest", [
      "run",
      ...["--config", config, "--root", ROOT],
      ...["--reporter=default", "--reporter=json", `--outputFile=${report}`],
    ]),
  );
  return add(units, engine);
}
