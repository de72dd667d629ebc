/** A chain's second half: the candidate as a canary, compared with what is current until that is judged. */
import { type ChainContext, iso, MAX_TURNS } from "./chain-context.ts";
import { type Verdict, verdictOf } from "./verdict.ts";

/** Null where the time is up before there is a verdict. */
export async function tryAsCanary(context: ChainContext, release: string): Promise<Verdict | null> {
  const { order, settings, steps, world } = context;
  const { trial, pollMs, canaryLimitMs } = settings;
  const { baseline, began } = await startCanary(context, release);
  let looked = 0;
  for (let turn = 0; turn < MAX_TURNS; turn++) {
    await steps.wait(`requests ${turn}`, pollMs);
    const look = await steps.do(`compare ${turn}`, async () => {
      const arms = await world.acceptance(order.target, { candidate: release, baseline }, iso(began));
      const verdict = verdictOf(arms, looked, trial);
      const now = world.now();
      const done = verdict.kind === "wait" ? "" : `look ${looked + 1}: ${told(verdict)}`;
      await world.record(order.id, done, { wake_at: iso(now + pollMs) });
      return { verdict, late: now > began + canaryLimitMs };
    });
    const { kind } = look.verdict;
    if (kind === "better" || kind === "worse" || kind === "even") return look.verdict;
    if (kind === "unsure") looked++;
    if (look.late) break;
  }
  return null;
}

function startCanary({ order, settings, steps, world }: ChainContext, release: string) {
  const { id, target } = order;
  return steps.do("start the canary", async () => {
    await world.startCanary(target, release, settings.share);
    const baseline = await world.currentRelease(target);
    if (baseline === null) throw new Error(`channel ${target} has no release to compare with`);
    const at = world.now();
    await world.record(id, "canary started", {
      state: "canary",
      ...{ release, canary_since: iso(at), wake_at: iso(at + settings.pollMs) },
    });
    return { baseline, began: at };
  });
}

/** In a line, for the audit. */
export function told(verdict: Verdict): string {
  if (verdict.kind === "wait") return `${verdict.needed} requests of each are needed`;
  const { seen, test } = verdict;
  return (
    `${verdict.kind}: acceptance ${seen.candidate.toFixed(4)} of ${seen.requests.candidate} requests against ` +
    `${seen.baseline.toFixed(4)} of ${seen.requests.baseline}, p ${test.p.toPrecision(2)}`
  );
}
