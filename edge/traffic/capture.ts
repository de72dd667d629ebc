/**
 * Captures completions of keys whose owners have agreed to it: into a queue, after the answer. What fails here is
 * logged, and no completion notices.
 */
import { z } from "zod";
import type { DoneFrame, Sampling } from "../../gpu-service/protocol/frames.ts";
import { subjectId, type TrafficLine, trafficLineSchema } from "../../gpu-service/protocol/traffic.ts";

/** What a completion was and what came of it, in ids. */
export type Completed = {
  target: string;
  /** What it began with. */
  release: string | null;
  prompt: readonly number[];
  output: readonly number[];
  sampling: Sampling;
  /** The verifier's account; null where it did not come. */
  report: DoneFrame | null;
};
export const trafficMessageSchema = z.object({ subject: subjectId, line: trafficLineSchema });
export type TrafficMessage = z.infer<typeof trafficMessageSchema>;
export type TrafficQueue = { send(message: TrafficMessage): Promise<unknown> };

/** A queue's messages have 128 KB at most, their envelope included. */
const MAX_MESSAGE_BYTES = 120_000;

/** Never rejects. `subject`: the key's, or null where it is not to be captured after all. */
export async function capture(
  completed: Completed,
  subject: () => Promise<string | null>,
  queue: TrafficQueue,
): Promise<void> {
  if (completed.output.length === 0) return;
  try {
    const of = await subject();
    if (of === null) return;
    const message = { subject: of, line: lineOf(completed) };
    const bytes = JSON.stringify(message).length;
    if (bytes > MAX_MESSAGE_BYTES) throw new Error(`${bytes} bytes are too many for a queue's message`);
    await queue.send(message);
  } catch (error) {
    console.warn(
      JSON.stringify({ level: "warn", message: "a completion was not captured", error: String(error) }),
    );
  }
}

const lineOf = ({ target, release, prompt, output, sampling, report }: Completed): TrafficLine => ({
  id: crypto.randomUUID(),
  time: new Date().toISOString(),
  ...{ release, target, sampling, prompt: [...prompt], output: [...output] },
  drafted: report && totalsOf(report.counts.drafted),
  accepted: report && totalsOf(report.counts.accepted),
});

/** Tokens by source, from counts by source and place in the block. */
export const totalsOf = (counts: DoneFrame["counts"]["drafted"]): Record<string, number> =>
  Object.fromEntries(
    Object.entries(counts).map(([source, byPlace]) => [source, byPlace?.reduce((sum, n) => sum + n, 0) ?? 0]),
  );
