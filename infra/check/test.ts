/**
 * `npm test [-- SUITE ...]`: sets up what the tests need, runs every suite, and ends with one line that sums them up.
 */
import { SetupError } from "../../gpu-service/training/launchers/launcher.ts";
import { StartError } from "../start/errors.ts";
import { add, type Counts, NONE, summary } from "./counts.ts";
import { setUp } from "./setup.ts";
import { SUITES, type Suite, USUAL_SUITES } from "./suite-names.ts";
import { runSuite } from "./suites.ts";

const began = Date.now();
const heading = (text: string) => console.log(`\n== ${text} (${((Date.now() - began) / 1000).toFixed(0)} s)`);

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !isSuite(name));
if (unknown.length > 0) {
  console.error(`No such suite: ${unknown.join(", ")}. There are ${SUITES.join(", ")}.`);
  process.exit(1);
}
const suites = wanted.length > 0 ? SUITES.filter((suite) => wanted.includes(suite)) : USUAL_SUITES;

let total: Counts = NONE;
try {
  heading("set-up");
  const { python } = await setUp(suites, (line) => console.log(line));
  for (const suite of suites) {
    heading(suite);
    const counts = await runSuite(suite, python);
    console.log(`${suite}: ${summary(counts)}`);
    total = add(total, counts);
  }
} catch (error) {
  const expected = error instanceof StartError || error instanceof SetupError;
  console.error(expected ? error.message : error);
  total = add(total, { ...NONE, failed: 1 });
}
heading("all suites");
console.log(summary(total));
process.exitCode = total.failed > 0 || total.passed === 0 ? 1 : 0;

function isSuite(name: string): name is Suite {
  return (SUITES as readonly string[]).includes(name);
}
