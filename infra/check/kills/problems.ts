/** What must hold after any number of kills: no job lost, no release half, the channel where the chains left it. */
import { type Job, jobListSchema } from "../../../gpu-service/protocol/jobs.ts";
import type { Publisher } from "../../../gpu-service/training/publish/publisher.ts";
import type { Chains } from "../../demo/admin.ts";
import type { System } from "../../start/system.ts";

const MOST_JOBS = 1_000;

export async function jobsOf({ training, secrets }: System): Promise<Job[]> {
  const headers = { authorization: `Bearer ${secrets.training}` };
  const response = await fetch(`${training}/v1/jobs?limit=${MOST_JOBS}`, { headers });
  return jobListSchema.parse(await response.json()).data;
}

/** `shipped`: the release that the channel named at first; chains: oldest first. */
export async function problemsOf(
  publisher: Publisher,
  { target, shipped }: { target: string; shipped: string },
  chains: Chains["chains"],
  jobs: readonly Job[],
): Promise<string[]> {
  const problems: string[] = [];
  for (const { id, state, note, job } of chains) {
    if (state !== "promoted" && state !== "kept") problems.push(`chain ${id}: ${state}: ${note}`);
    const found = jobs.find((one) => one.id === job);
    if (found?.state !== "succeeded")
      problems.push(`chain ${id}: its job ${job} is ${found?.state ?? "lost"}: ${found?.error}`);
  }
  if (jobs.length !== chains.length) problems.push(`${jobs.length} jobs of ${chains.length} chains`);
  for (const { what, problems: found } of await publisher.verify(target))
    problems.push(...found.map((problem) => `${what}: ${problem}`));
  const published = new Set(await publisher.list());
  for (const { release } of jobs) if (!published.has(release)) problems.push(`${release}: is not published`);

  const promoted = chains.flatMap(({ state, release }) => (state === "promoted" && release ? [release] : []));
  const [current, previous = null] = [shipped, ...promoted].reverse();
  const record = await publisher.channels.read(target);
  const wanted = JSON.stringify({ current, previous, canary: null });
  const named = JSON.stringify({
    current: record?.current.release,
    previous: record?.previous?.release ?? null,
    canary: record?.canary?.release ?? null,
  });
  if (named !== wanted) problems.push(`channel ${target}: ${named}, not ${wanted}`);
  return problems;
}
