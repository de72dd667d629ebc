/**
 * Releases swapped under load on a running system: promoted, tried as a canary, rolled back. No completion may fail,
 * no text may change, and each swap must reach new requests in time.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { openPublisher, type Publisher } from "../../gpu-service/training/publish/publisher.ts";
import type { System } from "../start/system.ts";

export type SwapReport = {
  swaps: number;
  completions: number;
  /** Completions by the release that they began with. */
  byRelease: Record<string, number>;
  /** Different texts of the same request: one, if drafts are only hints. */
  texts: number;
  /** Seconds from each swap until completions show it. */
  uptakeS: number[];
  failures: string[];
};
type Answer = { release: string | null; text: string };

const CLIENTS = 4;
const TOKENS = 48;
const CANARY_SHARE = 0.5;
/** So many completions in a row show that a swap has reached the isolate: a canary's share hides 1 in 4,096 times. */
const SHOWING = 12;
/** A swap that completions do not show after so long has failed. */
const UPTAKE_LIMIT_MS = 60_000;
const PROMPT = "def add(a, b):\n";
const answerSchema = z.object({
  choices: z.array(z.object({ text: z.string() })).length(1),
  outrider: z.object({ release: z.string().nullable() }),
});

/** `draft`: folder of the release that is current, to be published once more under the id of the other one. */
export async function checkSwaps(
  system: System,
  { draft, swaps, say = () => {} }: { draft: string; swaps: number; say?: (line: string) => void },
): Promise<SwapReport> {
  const publisher = await openPublisher(system.publishing);
  const report: SwapReport = { swaps: 0, completions: 0, byRelease: {}, texts: 0, uptakeS: [], failures: [] };
  const load = startLoad(system, report);
  try {
    const first = (await publisher.channels.read(system.target))!.current.release;
    await publisher.publishJob(draft, "swapped", "canary");
    const { manifestSha256 } = await publisher.show("swapped");
    const other = { id: "swapped", target: system.target, manifestSha256 };
    const steps = stepsOf(publisher, first, other);
    for (; report.swaps < swaps; report.swaps++) {
      const { name, run, isShown } = steps[report.swaps % steps.length]!;
      await run();
      const seconds = await load.until(name, isShown);
      report.uptakeS.push(seconds);
      say(`${name}: ${seconds.toFixed(1)} s, ${report.completions} completions`);
    }
  } finally {
    await load.stop();
    publisher.close();
  }
  return report;
}

/** `isShown`: whether the newest completions, by the releases they began with, show the step. */
type Step = { name: string; run(): Promise<unknown>; isShown(releases: readonly (string | null)[]): boolean };

/** A round that ends where it began. */
function stepsOf(
  { channels }: Publisher,
  first: string,
  other: { id: string; target: string; manifestSha256: string },
): Step[] {
  const only = (id: string) => (releases: readonly (string | null)[]) => releases.every((one) => one === id);
  const both = (releases: readonly (string | null)[]) =>
    releases.includes(first) && releases.includes(other.id);
  const { target } = other;
  return [
    { name: "promote", run: () => channels.promote(other), isShown: only(other.id) },
    { name: "roll back", run: () => channels.rollback(target), isShown: only(first) },
    { name: "canary", run: () => channels.startCanary(other, CANARY_SHARE), isShown: both },
    { name: "end the canary", run: () => channels.endCanary(target), isShown: only(first) },
  ];
}

function startLoad(system: System, report: SwapReport) {
  const texts = new Set<string>();
  let isRunning = true;
  let heard: (answer: Answer & { began: number }) => void = () => {};
  const client = async () => {
    while (isRunning) {
      const began = performance.now();
      try {
        const answer = await complete(system);
        report.completions++;
        report.byRelease[`${answer.release}`] = (report.byRelease[`${answer.release}`] ?? 0) + 1;
        texts.add(answer.text);
        report.texts = texts.size;
        heard({ ...answer, began });
      } catch (error) {
        report.failures.push(String(error));
        await sleep(100);
      }
    }
  };
  const clients = Array.from({ length: CLIENTS }, client);
  return {
    /** Seconds until completions that began from now on show what is waited for. */
    async until(name: string, isShown: Step["isShown"]): Promise<number> {
      const swapped = performance.now();
      const releases: (string | null)[] = [];
      const shown = new Promise<void>((resolve) => {
        heard = ({ release, began }) => {
          if (began < swapped) return;
          releases.push(release);
          if (releases.length >= SHOWING && isShown(releases.slice(-SHOWING))) resolve();
        };
      });
      const limit = sleep(UPTAKE_LIMIT_MS, "late" as const, { ref: false });
      if ((await Promise.race([shown, limit])) === "late")
        throw new Error(
          `${name}: not shown after ${UPTAKE_LIMIT_MS / 1000} s by ${releases.slice(-SHOWING)}`,
        );
      return (performance.now() - swapped) / 1000;
    },
    async stop(): Promise<void> {
      isRunning = false;
      await Promise.all(clients);
    },
  };
}

async function complete({ address, key, target }: System): Promise<Answer> {
  const response = await fetch(`${address}/v1/completions`, {
    method: "POST",
    headers: {
      authorization: `Bearer ${key}`,
      "content-type": "application/json",
      "x-outrider-details": "1",
      // Without what is remembered of the same request the model has nothing to draft.
      "cache-control": "no-store",
    },
    body: JSON.stringify({ model: target, prompt: PROMPT, max_tokens: TOKENS, temperature: 0 }),
    signal: AbortSignal.timeout(30_000),
  });
  const body: unknown = await response.json();
  if (!response.ok) throw new Error(`${response.status}: ${JSON.stringify(body)}`);
  const { choices, outrider } = answerSchema.parse(body);
  return { release: outrider.release, text: choices[0]!.text };
}
