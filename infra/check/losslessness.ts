/** Compares the output ids of requests with and without drafts. */
import { type Completion, complete, type Drafts, type Endpoint } from "../bench/client.ts";
import type { Prompt } from "../bench/prompts.ts";

export const TEMPERATURES = [0, 0.8] as const;
export const HINTS = ["honest", "random", "adversarial"] as const;
const IN_FLIGHT = 4;

export type Difference = {
  prompt: string;
  temperature: number;
  hints: Drafts;
  /** Index of the first output id that differs. */
  at: number;
};
export type Report = {
  /** Runs compared with their plain run. */
  compared: number;
  differences: Difference[];
  /** Requests that ended with an error. */
  failures: string[];
  /** By kind of hints: ids hinted, ids confirmed, steps taken. */
  counts: Record<(typeof HINTS)[number], { drafted: number; accepted: number; steps: number }>;
};

export async function checkLossless(
  endpoint: Endpoint,
  prompts: readonly Prompt[],
  maxTokens: number,
  progress: (done: number, of: number) => void = () => {},
): Promise<Report> {
  const report: Report = { compared: 0, differences: [], failures: [], counts: emptyCounts() };
  const cases = prompts.flatMap((prompt, i) =>
    TEMPERATURES.map((temperature) => ({ prompt, temperature, seed: 1000 + i })),
  );
  let done = 0;
  await inParallel(cases, IN_FLIGHT, async ({ prompt, temperature, seed }) => {
    const run = (drafts: Drafts) => complete(endpoint, prompt, { maxTokens, temperature, seed, drafts });
    try {
      const plain = await run("off");
      for (const hints of HINTS)
        compare(report, plain, await run(hints), { prompt: prompt.name, temperature, hints });
    } catch (error) {
      report.failures.push(
        `${prompt.name} at temperature ${temperature}: ${error instanceof Error ? error.message : error}`,
      );
    }
    progress(++done, cases.length);
  });
  return report;
}

function compare(
  report: Report,
  plain: Completion,
  drafted: Completion,
  run: { prompt: string; temperature: number; hints: (typeof HINTS)[number] },
): void {
  report.compared++;
  const counts = report.counts[run.hints];
  counts.drafted += drafted.drafted;
  counts.accepted += drafted.accepted;
  counts.steps += drafted.steps;
  const same =
    plain.ids.join() === drafted.ids.join() && plain.text === drafted.text && plain.finish === drafted.finish;
  if (same && plain.tokens === drafted.tokens) return;
  const at = drafted.ids.findIndex((id, i) => id !== plain.ids[i]);
  report.differences.push({ ...run, at: at < 0 ? Math.min(plain.ids.length, drafted.ids.length) : at });
}

/** Runs `work` over `items`, `width` at a time. */
async function inParallel<T>(
  items: readonly T[],
  width: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const queue = items[Symbol.iterator]();
  const worker = async () => {
    for (const item of queue) await work(item);
  };
  await Promise.all(Array.from({ length: width }, worker));
}

const emptyCounts = (): Report["counts"] => ({
  honest: { drafted: 0, accepted: 0, steps: 0 },
  random: { drafted: 0, accepted: 0, steps: 0 },
  adversarial: { drafted: 0, accepted: 0, steps: 0 },
});

export const isLossless = ({ compared, differences, failures }: Report): boolean =>
  compared > 0 && differences.length === 0 && failures.length === 0;

export function formatReport(report: Report): string {
  const lines = HINTS.map((hints) => {
    const { drafted, accepted, steps } = report.counts[hints];
    return `${hints}: ${drafted} ids hinted, ${accepted} confirmed, ${steps} steps`;
  });
  for (const { prompt, temperature, hints, at } of report.differences) {
    lines.push(
      `DIFFERENT: ${prompt} at temperature ${temperature} with ${hints} hints, from output id ${at} on`,
    );
  }
  for (const failure of report.failures) lines.push(`FAILED: ${failure}`);
  const identical = report.compared - report.differences.length;
  lines.push(
    `${identical} of ${report.compared} runs identical to the run without drafts, ${report.failures.length} failed`,
  );
  return lines.join("\n");
}
