/** `npm run check:schema [-- SEED]`: a thousand random requests, good and bad; no 5xx, no answer but as documented. */
import { startTemporarySystem } from "../bench/temporary-system.ts";
import { StartError } from "../start/errors.ts";
import { runMain } from "../start/run-main.ts";
import { runSchemathesis } from "./schemathesis.ts";

const LEAST_REQUESTS = 1_000;
/** For each route; the coverage of every field comes on top. */
const EXAMPLES = 150;

await runMain(main);

async function main(): Promise<number> {
  const seed = Number(process.argv[2] ?? 1);
  if (!Number.isInteger(seed)) throw new StartError(`${process.argv[2]}: expected a seed, an integer`);
  const system = await startTemporarySystem({ target: "tiny" });
  try {
    const { requests, passed, output } = await runSchemathesis(system, { examples: EXAMPLES, seed });
    console.log(output);
    const failures = [
      ...(passed ? [] : ["schemathesis found something (above)"]),
      ...(requests < LEAST_REQUESTS ? [`only ${requests} requests of ${LEAST_REQUESTS}`] : []),
    ];
    for (const failure of failures) console.error(failure);
    console.log(
      `${requests} requests, seed ${seed}: ${failures.length === 0 ? "all as documented" : "FAILED"}`,
    );
    return failures.length === 0 ? 0 : 1;
  } finally {
    await system.stop();
  }
}
