/** `npm run bench -- NAME [--quick] [--json]`: one benchmark, as a table for people and as JSON for programs. */
import { parseArgs } from "node:util";
import { StartError } from "../start/errors.ts";
import { runMain } from "../start/run-main.ts";
import { benchAcceptance } from "./acceptance.ts";
import { benchApi } from "./api.ts";
import { benchCapacity } from "./capacity.ts";
import { benchKernel } from "./kernel.ts";
import { benchLoop } from "./loop.ts";
import { plot } from "./plots.ts";
import { type Bench, formatTable, makeResult, type Row } from "./result.ts";
import { benchRtt } from "./rtt.ts";
import { benchSpeedup } from "./speedup.ts";
import { benchTrain } from "./train.ts";
import { benchVerifier } from "./verifier.ts";
import { benchVllm } from "./vllm.ts";

const BENCHES: Record<string, Bench> = {
  speedup: benchSpeedup,
  verifier: benchVerifier,
  kernel: benchKernel,
  rtt: benchRtt,
  capacity: benchCapacity,
  train: benchTrain,
  acceptance: benchAcceptance,
  vllm: benchVllm,
  api: benchApi,
  loop: benchLoop,
};
const USAGE = `npm run bench -- NAME [--quick] [--json] [--plot]
  NAME             ${Object.keys(BENCHES).join(", ")}
  --plot           rtt, capacity: charts of the result to docs/plots
  --target NAME    speedup: default, or padded (the default one at the cost of a larger model)
  --suite NAME     speedup: this suite only
  --shape NAME     kernel: this shape only
  --against FOLDER kernel: another engine beside ours
  --release FOLDER acceptance: another release than the one that ships
  --pair NAME      vllm: default, or tiny
  --draft FOLDER   acceptance: a draft whose weights are measured unrounded and rounded, too`;

await runMain(main);

async function main(): Promise<number> {
  const { values, positionals } = readArguments();
  const name = positionals[0] ?? "";
  const bench = BENCHES[name];
  if (!bench || positionals.length > 1) {
    console.error(USAGE);
    return 2;
  }
  // Progress goes to standard error, so that standard output is the result alone.
  const measured = await bench(values, (line) => console.error(line));
  const result = makeResult(name, values.quick, measured);
  console.log(formatTable(result.rows));
  const summary = Object.entries(result.summary).map(
    ([suite, entry]): Row =>
      typeof entry === "object" && entry !== null ? { suite, ...entry } : { suite, value: entry },
  );
  console.log(`\n${formatTable(summary)}`);
  if (values.plot && !plot(name, result.rows)) console.error(`there is no chart of ${name}`);
  if (values.json) console.log(JSON.stringify(result));
  return 0;
}

function readArguments() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        quick: { type: "boolean", default: false },
        plot: { type: "boolean", default: false },
        json: { type: "boolean", default: false },
        shape: { type: "string" },
        against: { type: "string" },
        target: { type: "string" },
        suite: { type: "string" },
        release: { type: "string" },
        draft: { type: "string" },
        pair: { type: "string" },
      },
    });
  } catch (error) {
    throw new StartError(`${error instanceof Error ? error.message : error}\n${USAGE}`);
  }
}
