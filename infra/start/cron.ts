/** Cron triggers: production fires them by itself, a local worker waits for a request on its handler's address. */

/** The expressions of `[triggers] crons = [...]` in the text of a wrangler.toml. */
export function readCrons(wranglerToml: string): string[] {
  const list = /^crons\s*=\s*\[([^\]]*)\]/m.exec(wranglerToml)?.[1] ?? "";
  return [...list.matchAll(/"([^"]+)"/g)].map((match) => match[1]!);
}

/** Whether an expression of five fields (UTC) names the minute of `time`. Throws for a field it cannot read. */
export function cronMatches(expression: string, time: Date): boolean {
  const fields = expression.trim().split(/\s+/);
  if (fields.length !== 5) throw new Error(`cron "${expression}": expected five fields`);
  const [minute, hour, day, month, weekday] = fields as [string, string, string, string, string];
  const dayMatches = fieldMatches(day, time.getUTCDate(), 1, 31);
  const weekdayMatches = fieldMatches(weekday, time.getUTCDay() + 1, 1, 7);
  // As cron has always had it: where both days are given, either will do.
  const eitherDay =
    day === "*" || weekday === "*" ? dayMatches && weekdayMatches : dayMatches || weekdayMatches;
  return (
    fieldMatches(minute, time.getUTCMinutes(), 0, 59) &&
    fieldMatches(hour, time.getUTCHours(), 0, 23) &&
    fieldMatches(month, time.getUTCMonth() + 1, 1, 12) &&
    eitherDay
  );
}

/** One field: `*`, `5`, `1-5`, each with `/step`, in a comma list. Weekdays are 1 (Sunday) to 7, as Cloudflare has them. */
function fieldMatches(field: string, value: number, lowest: number, highest: number): boolean {
  return field.split(",").some((part) => {
    const match = /^(\*|\d+)(?:-(\d+))?(?:\/(\d+))?$/.exec(part);
    if (!match) throw new Error(`cron field "${field}": cannot read "${part}"`);
    const step = match[3] === undefined ? 1 : Number(match[3]);
    const from = match[1] === "*" ? lowest : Number(match[1]);
    const openEnded = match[1] === "*" || match[3] !== undefined;
    const to = match[2] !== undefined ? Number(match[2]) : openEnded ? highest : from;
    return value >= from && value <= to && (value - from) % step === 0;
  });
}

/** Fires each expression in its minute until stopped. `fire` reports its own failures. */
export function tickCrons(
  crons: readonly string[],
  fire: (cron: string, at: Date) => void,
): { stop(): void } {
  let lastMinute = Math.floor(Date.now() / 60_000);
  const timer = setInterval(() => {
    const minute = Math.floor(Date.now() / 60_000);
    if (minute === lastMinute) return;
    lastMinute = minute;
    const at = new Date(minute * 60_000);
    for (const cron of crons) if (cronMatches(cron, at)) fire(cron, at);
  }, 1_000);
  timer.unref();
  return { stop: () => clearInterval(timer) };
}

/** Has the worker handle a tick of its schedule; says how that went. */
export async function fireCron(
  address: string,
  cron: string,
  at: Date,
  say: (line: string) => void,
): Promise<void> {
  const url = `${address}/cdn-cgi/handler/scheduled?cron=${encodeURIComponent(cron)}&time=${at.getTime()}`;
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(60_000) });
    say(`cron ${cron}: ${response.ok ? "done" : `answered ${response.status}`}`);
  } catch (error) {
    say(`cron ${cron}: ${error instanceof Error ? error.message : error}`);
  }
}
