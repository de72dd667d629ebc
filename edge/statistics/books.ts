/** The books that are kept of a completion, behind its answer: statistics of all, traffic of those that may be captured. */
import type { DoneFrame } from "../../gpu-service/protocol/frames.ts";
import type { Arm } from "../../gpu-service/protocol/statistics.ts";
import { type Completed, capture, type TrafficQueue, totalsOf } from "../traffic/capture.ts";
import type { Sending, StatisticsBatcher } from "./batcher.ts";

export type Books = {
  statistics: StatisticsBatcher;
  sending: Sending;
  /** Where captured completions go. */
  traffic: TrafficQueue;
};
export type Entry = {
  completed: Omit<Completed, "report">;
  arm: Arm;
  /** The subject under which it is captured; undefined: it may not be. */
  subject: (() => Promise<string | null>) | undefined;
};

/** `arrival`: of the verifier's account. Never rejects. */
export async function enter(
  { completed, arm, subject }: Entry,
  arrival: Promise<DoneFrame | null>,
  { statistics, sending, traffic }: Books,
): Promise<void> {
  const report = await arrival;
  const drafted = totalsOf(report?.counts.drafted ?? {});
  const accepted = totalsOf(report?.counts.accepted ?? {});
  statistics.add({ release: completed.release, arm, drafted, accepted }, sending);
  if (subject) await capture({ ...completed, report }, subject, traffic);
}
