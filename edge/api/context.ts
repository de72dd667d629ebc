/** What a request's handlers share: the services of the isolate, and who is asking. */
import type { DoneFrame } from "../../gpu-service/protocol/frames.ts";
import type { Job } from "../../gpu-service/protocol/jobs.ts";
import type { ApiKeys } from "../accounts/api-keys.ts";
import type { ApiKey } from "../accounts/key-terms.ts";
import type { QuotaLedger } from "../accounts/quota.ts";
import type { Config } from "../config.ts";
import type { Drafting, DraftingRequest } from "../drafting/drafting.ts";
import type { Recall } from "../drafting/memory/memory.ts";
import type { DraftSource } from "../drafting/source.ts";
import type { VerifierLink } from "../link/link.ts";
import type { ChannelStub } from "../releases/channel-client.ts";
import type { DraftState } from "../releases/loader.ts";
import type { SecondWorker } from "../releases/second-worker.ts";
import type { RetrainingParts } from "../retraining/routes.ts";
import type { StatisticsHandle } from "../statistics/routes.ts";
import type { TargetText } from "../text/target-text.ts";
import type { Completed } from "../traffic/capture.ts";
import type { TrafficParts } from "../traffic/routes.ts";

/** What the handlers need, made by the composition root for each request. */
export type Services = {
  config: Config;
  keys: ApiKeys;
  /** Whether a key may make one more request now. */
  limitRate(key: string): Promise<boolean>;
  /** The account that a key's tokens are counted on. */
  ledger(key: string): QuotaLedger;
  /** Lets work go on after the answer. */
  keepAlive(work: Promise<unknown>): void;
  /** The target's text assets; looks after the draft release on the way, without waiting for it. */
  text(): Promise<TargetText>;
  /** The Worker that is to serve the request in this one's place, if it is. */
  secondWorker(): Promise<SecondWorker | undefined>;
  /** The draft release that a request would begin with now. */
  draft(): DraftState;
  links(prompt: readonly number[]): readonly VerifierLink[];
  startDrafting(request: DraftingRequest, memory?: DraftSource): Drafting;
  /** What was confirmed for the tenant before; undefined where the installation keeps nothing. */
  recall(request: { tenant: string; text: TargetText; prompt: readonly number[] }): Recall | undefined;
  channel(target: string): ChannelStub;
  /** The newest training jobs; rejects where the training service does not answer. */
  jobs(): Promise<Job[]>;
  retraining(): RetrainingParts;
  /** Keeps the books of a completion, behind its answer: statistics of all, and traffic where that may be captured. */
  account(
    completed: Omit<Completed, "target" | "report">,
    report: Promise<DoneFrame | null>,
    mayCapture: boolean,
  ): void;
  statistics(target: string): StatisticsHandle;
  traffic(): TrafficParts;
};
export type AppEnv = { Variables: { services: Services; key: ApiKey; tenant: string; requestId: string } };
