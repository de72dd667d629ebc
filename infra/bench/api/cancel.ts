/** How long the verifier works on for a client that has left. */
import { setTimeout as sleep } from "node:timers/promises";
import type { System } from "../../start/system.ts";
import { askPlainly } from "./request.ts";

const MOST_MS = 5_000;
const LONG_TEXT = 400;

/** Milliseconds from a disconnect in the middle of a text to the verifier's account of a cancelled sequence. */
export async function measureCancel(system: System, count: number): Promise<number[]> {
  const taken: number[] = [];
  for (let n = 0; n < count; n++) {
    const before = await cancelled(system);
    const client = new AbortController();
    const begun = new Promise<void>((resolve) => {
      const options = { signal: client.signal, onFirst: resolve };
      askPlainly(system, `# ${n}\nimport os\n`, LONG_TEXT, options).catch(() => resolve());
    });
    await begun;
    // Anywhere within a step.
    await sleep(20 + (n % 7) * 3);
    const left = performance.now();
    client.abort();
    while ((await cancelled(system)) === before) {
      if (performance.now() - left > MOST_MS) throw new Error(`nothing was cancelled within ${MOST_MS} ms`);
    }
    taken.push(performance.now() - left);
  }
  return taken;
}

/** Sequences that have been cancelled so far. */
export async function cancelled({ verifier }: Pick<System, "verifier">): Promise<number> {
  const metrics = await (await fetch(`${verifier}/metrics`)).text();
  return Number(/^outrider_verify_sequences_total\{outcome="cancelled"\} (\d+)/m.exec(metrics)?.[1] ?? 0);
}
