/**
 * `npm run check:kills`: the training service and its trainers killed at random moments beside a running system: real
 * trainers, gates, bucket and channel. Every job must end well, every release be whole, the channel name the newest.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { parseArgs } from "node:util";
import { openPublisher, type Publisher } from "../../gpu-service/training/publish/publisher.ts";
import { startTemporarySystem } from "../bench/temporary-system.ts";
import { seededRandom } from "../network/random.ts";
import { openDataFolder, ROOT } from "../start/paths.ts";
import { freePort } from "../start/ports.ts";
import { runMain } from "../start/run-main.ts";
import { gatesVariables } from "../start/services.ts";
import type { System } from "../start/system.ts";
import { type KillReport, runKills } from "./kill-run.ts";
import { sameAgain } from "./same-again.ts";
import { ensureTrainerPython } from "./setup.ts";

/** A trainer takes seconds to start on two busy cores. */
const PAUSE_MS = [500, 20_000] as const;
const say = (line: string) => console.log(line);

await runMain(async () => ((await main()) ? 0 : 1));

async function main(): Promise<boolean> {
  const text = (usual: string) => ({ type: "string", default: usual }) as const;
  const { values } = parseArgs({ options: { kills: text("50"), seed: text("1") } });
  await ensureTrainerPython(openDataFolder(), say);
  const system = await startTemporarySystem({ target: "tiny", say });
  const folder = mkdtempSync(join(tmpdir(), "outrider-kills-"));
  const publisher = await openPublisher(system.publishing);
  try {
    const parent = (await publisher.channels.read(system.target))!.current.release;
    const report = await runKills({
      env: serviceEnvironment(system, join(folder, "training"), await freePort()),
      ...{ kills: Number(values.kills), pauseMs: PAUSE_MS, random: seededRandom(Number(values.seed)), say },
      job: (number) => sameAgain(parent, `kills-${number}`, number),
    });
    const problems = await problemsOf(publisher, system.target, report);
    for (const problem of problems) say(problem);
    const { service, trainer } = report.killed;
    say(
      `${service} kills of the service and ${trainer} of trainers, ${report.jobs.length} jobs: ${problems.length} problems`,
    );
    return problems.length === 0;
  } finally {
    publisher.close();
    await system.stop();
    rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
  }
}

function serviceEnvironment(system: System, data: string, port: number): Record<string, string> {
  const shared = openDataFolder();
  return {
    ...system.publishing,
    ...gatesVariables(system.verifier.replace(/^http/, "ws"), system.secrets),
    TRAINING_PORT: String(port),
    TRAINING_DATA: data,
    TRAINING_TOKEN: system.secrets.training,
    TRAINING_VENV: shared.trainerVenv,
    MODELS_ROOT: [shared.models, join(ROOT, "infra/models")].join(delimiter),
  };
}

async function problemsOf(publisher: Publisher, target: string, { jobs }: KillReport): Promise<string[]> {
  const failed = jobs.filter(({ state }) => state !== "succeeded");
  const problems = failed.map(({ id, state, error }) => `job ${id}: ${state}: ${error}`);
  for (const { what, problems: found } of await publisher.verify(target)) {
    problems.push(...found.map((problem) => `${what}: ${problem}`));
  }
  const published = await publisher.list();
  for (const { release } of jobs)
    if (!published.includes(release)) problems.push(`${release}: is not published`);
  const current = (await publisher.channels.read(target))?.current.release;
  const newest = jobs.at(-1)?.release;
  if (current !== newest) problems.push(`channel ${target}: names ${current}, not ${newest}`);
  return problems;
}
