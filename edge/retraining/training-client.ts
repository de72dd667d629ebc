/** The training service as the worker reaches it: jobs, and changes of a channel, which it alone can sign. */
import { z } from "zod";
import type { ChannelChange } from "../../gpu-service/protocol/channel-change.ts";
import { type Job, jobListSchema, jobSchema } from "../../gpu-service/protocol/jobs.ts";
import type { ChainWorld } from "./chain-types.ts";

export type TrainingService = {
  url: string | undefined;
  token: string | undefined;
  fetch: typeof fetch;
};
type Wish = Parameters<ChainWorld["postJob"]>[0];

const TIMEOUT_MS = 15_000;
const errorSchema = z.object({ error: z.object({ message: z.string() }) });

/** Every method throws an Error, with the service's own words where it has any, if it does not do as asked. */
export class TrainingClient {
  readonly #service: TrainingService;

  constructor(service: TrainingService) {
    this.#service = service;
  }

  /** Newest first; none where no training service is configured. */
  async newestJobs(limit: number): Promise<Job[]> {
    if (this.#service.url === undefined) return [];
    return jobListSchema.parse(await this.#ask(`/v1/jobs?limit=${limit}`)).data;
  }

  /** A job that publishes its release but leaves the channel alone; the same key posts it once. */
  async postJob(wish: Wish): Promise<Job> {
    return jobSchema.parse(await this.#ask("/v1/jobs", { ...wish, publish: "canary" }));
  }

  async job(id: string): Promise<Job> {
    return jobSchema.parse(await this.#ask(`/v1/jobs/${encodeURIComponent(id)}`));
  }

  async changeChannel(target: string, change: ChannelChange): Promise<void> {
    await this.#ask(`/v1/channels/${encodeURIComponent(target)}`, change);
  }

  /** Posts the body, or gets where there is none. */
  async #ask(path: string, body?: object): Promise<unknown> {
    const { url, token, fetch } = this.#service;
    if (url === undefined) throw new Error("TRAINING_URL is not set");
    const response = await fetch(new URL(path, url).href, {
      method: body ? "POST" : "GET",
      headers: {
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
        ...(body && { "content-type": "application/json" }),
      },
      ...(body && { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    const answer: unknown = await response.json().catch(() => null);
    if (response.ok) return answer;
    const said = errorSchema.safeParse(answer).data?.error.message ?? response.statusText;
    throw new Error(`the training service answered ${response.status}: ${said}`);
  }
}
