/** Processes killed (SIGKILL) at random moments while work goes on. What must come out is for the caller to say. */
import { setTimeout as sleep } from "node:timers/promises";

export type Victim = {
  name: string;
  /** Kills it and, where it does not come back by itself, starts it again; false: it is not there to be killed now. */
  kill(): Promise<boolean>;
};
export type KillPlan = {
  victims: readonly Victim[];
  kills: number;
  /** From one kill to the next: at least, at most. */
  pauseMs: readonly [number, number];
  /** In [0, 1). */
  random: () => number;
  /** Sees to it that there is work to disturb. */
  keepBusy(): Promise<void>;
  say?: (line: string) => void;
};

/** How often each victim was killed. One that is not there is passed over for the next in the list. */
export async function killAtRandom(plan: KillPlan): Promise<Record<string, number>> {
  const { victims, kills, random, say = () => {} } = plan;
  const killed: Record<string, number> = Object.fromEntries(victims.map(({ name }) => [name, 0]));
  const [least, most] = plan.pauseMs;
  for (let kill = 1; kill <= kills; kill++) {
    await plan.keepBusy();
    await sleep(least + random() * (most - least));
    const first = Math.floor(random() * victims.length);
    const order = [...victims.slice(first), ...victims.slice(0, first)];
    for (const { name, kill: strike } of order) {
      if (!(await strike())) continue;
      killed[name] = (killed[name] ?? 0) + 1;
      say(`kill ${kill} of ${kills}: ${name}`);
      break;
    }
  }
  return killed;
}
