/** `speedup`: tokens per second with drafts on and off, through the HTTP API, on the default target or the padded one. */
import { ensureConvertPython } from "../models/python-env.ts";
import { StartError } from "../start/errors.ts";
import { openDataFolder } from "../start/paths.ts";
import { complete } from "./client.ts";
import { leaveVerifierCore } from "./pinning.ts";
import { fetchHumanEvalPrompts, type Prompt, readChatPrompts } from "./prompts.ts";
import { type Measured, measureInTurn } from "./speedup/rounds.ts";
import { makeSuites, SUITE_NAMES, type Suite } from "./speedup/suites.ts";
import { startTemporarySystem } from "./temporary-system.ts";

const MINUTE_MS = 60_000;
const BUDGETS_MS = {
  default: { quick: 34_000, full: 20 * MINUTE_MS },
  padded: { quick: 8 * MINUTE_MS, full: 45 * MINUTE_MS },
} as const;
/** Of the budget: `repeat` is measured after the others, so that what it leaves in memory can help none of them. */
const REPEAT_SHARE = 0.2;
const WARM_UP: Prompt = { name: "warm-up", request: { prompt: "def add(a, b):" } };

type Options = { quick: boolean; target?: string; suite?: string };

export async function benchSpeedup(options: Options, say: (line: string) => void): Promise<Measured> {
  const target = readTarget(options.target ?? "default");
  const data = openDataFolder();
  const python = await ensureConvertPython(data, say);
  const all = makeSuites(await fetchHumanEvalPrompts(data.cache, python.path), readChatPrompts());
  const suites = chosen(all, options.suite);
  const system = await startTemporarySystem({
    ...{ target: target === "padded" ? "padded" : "smollm2", say },
    ...{ testHints: true, pinned: leaveVerifierCore() },
  });
  try {
    // The first request loads the draft into the worker; its time is not what is measured.
    for (const drafts of ["honest", "off"] as const) {
      await complete(system, WARM_UP, { maxTokens: 32, temperature: 0, seed: 0, drafts, noStore: true });
    }
    const budget = BUDGETS_MS[target][options.quick ? "quick" : "full"];
    return await measureAll(suites, budget, (some, ms) => measureInTurn(system, some, ms, say));
  } finally {
    await system.stop();
  }
}

async function measureAll(
  suites: readonly Suite[],
  budgetMs: number,
  measure: (suites: readonly Suite[], budgetMs: number) => Promise<Measured>,
): Promise<Measured> {
  const groups = [suites.filter(({ memory }) => !memory), suites.filter(({ memory }) => memory)];
  const deadline = performance.now() + budgetMs;
  const all: Measured = { rows: [], summary: {} };
  for (const [i, group] of groups.entries()) {
    const later = i === 0 && groups[1]!.length > 0 ? REPEAT_SHARE * budgetMs : 0;
    const { rows, summary } = await measure(group, Math.max(0, deadline - performance.now() - later));
    all.rows.push(...rows);
    Object.assign(all.summary, summary);
  }
  return all;
}

function readTarget(name: string): keyof typeof BUDGETS_MS {
  if (name === "default" || name === "padded") return name;
  throw new StartError(`--target ${name}: expected default or padded`);
}

function chosen(suites: readonly Suite[], name: string | undefined): Suite[] {
  const found = suites.filter((suite) => name === undefined || suite.name === name);
  if (found.length === 0) throw new StartError(`--suite ${name}: expected ${SUITE_NAMES.join(", ")}`);
  return found;
}
