/** Sessions that ask for one text after the other, all at once, and how quickly their tokens come. */

/** Of a completion: when each token came, milliseconds of performance.now(). */
type Arrivals = { times: readonly number[] };

const WARM_UP_SHARE = 0.25;

/** `ask(n)`: the n-th completion. It may throw: the crowd ends then. */
export async function runCrowd(
  sessions: number,
  windowMs: number,
  ask: (n: number) => Promise<Arrivals>,
): Promise<{ tokS: number; p95GapMs: number }> {
  const from = performance.now() + windowMs * WARM_UP_SHARE;
  const until = from + windowMs;
  let asked = 0;
  const completions: Arrivals[] = [];
  const session = async () => {
    while (performance.now() < until) completions.push(await ask(asked++));
  };
  await Promise.all(Array.from({ length: sessions }, session));
  const inWindow = (time: number) => time >= from && time < until;
  const tokens = completions.flatMap(({ times }) => times.filter(inWindow)).length;
  return { tokS: (tokens * 1000) / windowMs, p95GapMs: p95(completions.flatMap(gapsOf)) };
}

/** Sessions that share out `texts` and ask for each once: tokens per second until the last has come. */
export async function runThrough<T>(
  sessions: number,
  texts: readonly T[],
  ask: (text: T) => Promise<Arrivals>,
): Promise<{ tokS: number; p95GapMs: number }> {
  const left = [...texts];
  const completions: Arrivals[] = [];
  const began = performance.now();
  const session = async () => {
    for (let text = left.shift(); text !== undefined; text = left.shift()) completions.push(await ask(text));
  };
  await Promise.all(Array.from({ length: sessions }, session));
  const seconds = (performance.now() - began) / 1000;
  const tokens = completions.reduce((sum, { times }) => sum + times.length, 0);
  return { tokS: tokens / seconds, p95GapMs: p95(completions.flatMap(gapsOf)) };
}

/** Ids that came together are one arrival. */
function gapsOf({ times }: Arrivals): number[] {
  return times.slice(1).flatMap((time, i) => (time - times[i]! > 0.5 ? [time - times[i]!] : []));
}

function p95(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length * 0.95)] ?? 0;
}
