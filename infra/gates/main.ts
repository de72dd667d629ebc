/**
 * The gates before publishing: `node infra/gates/main.ts REQUEST.json` judges a candidate and writes its verdict.
 *
 * A candidate passes when every gate does. Exit status 0 means that all were asked, not that they were passed.
 */
import { readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  GATES_VERDICT,
  type GatesEnvironment,
  type GatesRequest,
  gatesEnvironmentSchema,
  gatesRequestSchema,
} from "../../gpu-service/protocol/gates.ts";
import type { Gate } from "../../gpu-service/protocol/jobs.ts";
import { acceptanceGates } from "./acceptance.ts";
import { openCandidate } from "./candidate.ts";
import { gatherEvidence } from "./evidence.ts";
import { goldenGate } from "./golden.ts";
import { leakGate } from "./leaks.ts";
import { memoryGate } from "./memory.ts";

const [requestPath] = process.argv.slice(2);
if (requestPath === undefined) throw new Error("usage: main.ts REQUEST.json");
const request = gatesRequestSchema.parse(JSON.parse(await readFile(requestPath, "utf8")));
const verdict = join(request.folder, GATES_VERDICT);
const gates = await judge(request, gatesEnvironmentSchema.parse(process.env));
await writeFile(`${verdict}.new`, `${JSON.stringify(gates, null, 2)}\n`);
await rename(`${verdict}.new`, verdict);

async function judge(of: GatesRequest, environment: GatesEnvironment): Promise<Gate[]> {
  const { gate, candidate } = await openCandidate(of.candidate);
  // What does not load can be asked nothing else.
  if (!candidate) return [gate];
  const evidence = await gatherEvidence(of, candidate.manifest.target);
  return [
    gate,
    await memoryGate(candidate),
    await goldenGate(candidate, evidence.golden),
    leakGate(evidence.leaks),
    ...(await acceptanceGates(candidate, of.current, evidence.held, environment)),
  ];
}
