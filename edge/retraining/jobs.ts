/** The training service's newest jobs, for those who may see them. */
import { type Job, jobListSchema } from "../../gpu-service/protocol/jobs.ts";

export type TrainingService = { url: string | undefined; token: string | undefined; fetch: typeof fetch };

const SHOWN_JOBS = 10;
const TIMEOUT_MS = 5_000;

/** None where no training service is configured. Throws an Error where it does not answer as it should. */
export async function newestJobs({ url, token, fetch }: TrainingService): Promise<Job[]> {
  if (url === undefined) return [];
  const response = await fetch(new URL(`/v1/jobs?limit=${SHOWN_JOBS}`, url).href, {
    headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  if (!response.ok) throw new Error(`the training service answered ${response.status}`);
  return jobListSchema.parse(await response.json()).data;
}
