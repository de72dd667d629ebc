/**
 * `npm run check:kills [-- --kills N] [--seed N]`: workerd, the training service and its trainers killed at random moments of
 * chains that retrain, on a running system with real trainers, gates, bucket and channel, and users on the canary.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { JobStore } from "../../gpu-service/training/jobs/store.ts";
import { openPublisher } from "../../gpu-service/training/publish/publisher.ts";
import type { Regime } from "../bench/paced/regime.ts";
import { startTemporarySystem } from "../bench/temporary-system.ts";
import { seededRandom } from "../network/random.ts";
import { openDataFolder } from "../start/paths.ts";
import { runMain } from "../start/run-main.ts";
import type { System } from "../start/system.ts";
import { killAtRandom } from "./kills/at-random.ts";
import { ChainsUnderFire } from "./kills/chains.ts";
import { jobsOf, problemsOf } from "./kills/problems.ts";
import { trainerVictim } from "./kills/trainer.ts";
import { sameAgainRecipe } from "./same-again.ts";
import { ensureTrainerPython } from "./setup.ts";

const RECIPE = "same-again";
/** Of what is compared nothing differs but by chance, so half of the canaries are called better or worse after one look. */
const RETRAINING = {
  ...{ min_traffic: 0, poll_s: 1, event_timeout_s: 3_600, canary_limit_s: 120 },
  ...{ share: 0.5, min_requests: 30, looks: 1, significance: 0.5 },
};
/** The tiny target alone would be done before a hint could reach it. */
const REGIME: Regime = { label: "5 ms a step", dilation: 1, draftMs: 0, stepMs: () => 5 };
/** A chain takes about a minute on two cores. */
const PAUSE_MS = [200, 8_000] as const;
const END_MS = 600_000;
const say = (line: string) => console.log(line);

await runMain(async () => ((await main()) ? 0 : 1));

async function main(): Promise<boolean> {
  const text = (usual: string) => ({ type: "string", default: usual }) as const;
  const { values } = parseArgs({ options: { kills: text("50"), seed: text("1") } });
  await ensureTrainerPython(openDataFolder(), say);
  const recipes = mkdtempSync(join(tmpdir(), "outrider-kills-"));
  writeFileSync(join(recipes, `${RECIPE}.json`), JSON.stringify(sameAgainRecipe({ name: RECIPE })));
  const system = await startTemporarySystem({
    ...{ target: "tiny", retrainRecipe: RECIPE, retraining: RETRAINING, regime: REGIME, say },
    trainingEnv: { TRAINING_RECIPES: recipes },
  });
  try {
    return await underFire(system, Number(values.kills), Number(values.seed));
  } finally {
    await system.stop();
    rmSync(recipes, { recursive: true, force: true });
  }
}

async function underFire(system: System, kills: number, seed: number): Promise<boolean> {
  const { target } = system;
  const publisher = await openPublisher(system.publishing);
  const store = new JobStore(join(system.data.training, "jobs.sqlite"));
  const shipped = (await publisher.channels.read(target))!.current.release;
  const chains = new ChainsUnderFire(system);
  const part = (name: string, part: "worker" | "training") => ({
    name,
    kill: async () => {
      await system.restart(part);
      return true;
    },
  });
  try {
    const killed = await killAtRandom({
      victims: [part("workerd", "worker"), trainerVictim(store), part("service", "training")],
      ...{ kills, pauseMs: PAUSE_MS, random: seededRandom(seed), say },
      keepBusy: () => chains.keepGoing(),
    });
    const ended = await chains.untilEnded(END_MS);
    const problems = await problemsOf(publisher, { target, shipped }, ended, await jobsOf(system));
    for (const problem of problems) say(problem);
    const count = (state: string) => ended.filter((chain) => chain.state === state).length;
    say(
      `${kills} kills (${JSON.stringify(killed)}) of ${ended.length} chains: ${count("promoted")} promoted, ` +
        `${count("kept")} kept, ${problems.length} problems`,
    );
    return problems.length === 0;
  } finally {
    await chains.close();
    store.close();
    publisher.close();
  }
}
