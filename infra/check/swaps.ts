/**
 * `npm run check:swaps [-- --swaps N] [--second-worker]`: no completion fails and no text changes while releases are
 * swapped under load. With a second Worker there is room for one release in each.
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { startTemporarySystem } from "../bench/temporary-system.ts";
import { ROOT } from "../start/paths.ts";
import { runMain } from "../start/run-main.ts";
import { checkSwaps } from "./swap-run.ts";

const TINY_DRAFT = join(ROOT, "infra/models/tiny/draft");
const MOST_UPTAKE_S = 30;
/** Linear memory that holds one release of the tiny draft (590 kB) and not two. */
const ROOM_FOR_ONE_BYTES = 700_000;
const say = (line: string) => console.log(line);

await runMain(async () => ((await main()) ? 0 : 1));

async function main(): Promise<boolean> {
  const { values } = parseArgs({
    options: { swaps: { type: "string", default: "20" }, "second-worker": { type: "boolean" } },
  });
  const secondWorker = values["second-worker"] && { draftMemoryBytes: ROOM_FOR_ONE_BYTES };
  const system = await startTemporarySystem({ target: "tiny", say, ...(secondWorker && { secondWorker }) });
  try {
    const report = await checkSwaps(system, { draft: TINY_DRAFT, swaps: Number(values.swaps), say });
    for (const failure of report.failures) say(failure);
    const slowest = Math.max(...report.uptakeS);
    say(
      `${report.swaps} swaps under ${report.completions} completions: ${report.failures.length} failed, ` +
        `texts of the one request: ${report.texts}, slowest uptake ${slowest.toFixed(1)} s; ${JSON.stringify(report.byRelease)}`,
    );
    return report.failures.length === 0 && report.texts === 1 && slowest <= MOST_UPTAKE_S;
  } finally {
    await system.stop();
  }
}
