/** `npm run check:faults`: the text is the same whatever breaks between the edge and two replicas of the verifier. */
import { parseArgs } from "node:util";
import { runMain } from "../start/run-main.ts";
import { checkFaults } from "./fault-run.ts";

await runMain(async () => ((await main()) ? 0 : 1));

async function main(): Promise<boolean> {
  const number = (usual: number) => ({ type: "string", default: String(usual) }) as const;
  const { values } = parseArgs({ options: { schedules: number(500), seed: number(1) } });
  const report = await checkFaults(Number(values.schedules), Number(values.seed), (done) => {
    if (done % 50 === 0) console.log(`${done} of ${values.schedules}`);
  });
  const { schedules, connections, restarts, retries, failures } = report;
  for (const failure of failures) console.log(failure);
  console.log(
    `${schedules} schedules, ${schedules - failures.length} texts identical; ` +
      `${connections} connections, ${restarts} restarts of a replica, ${retries} completions asked for again`,
  );
  return failures.length === 0;
}
