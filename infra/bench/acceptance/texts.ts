/** What the real target writes, greedily and drawn at temperature 1, through the API of a running system. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import type { TargetText } from "../../../edge/text/target-text.ts";
import { ensureConvertPython } from "../../models/python-env.ts";
import { type DataFolder, ROOT } from "../../start/paths.ts";
import { complete, type Endpoint } from "../client.ts";
import { encode, readTargetText } from "../prompt-ids.ts";
import { fetchHumanEvalPrompts, type Prompt, readChatPrompts } from "../prompts.ts";
import { startTemporarySystem } from "../temporary-system.ts";
import { drawText } from "./drawn.ts";
import type { Written } from "./written.ts";

const TRIES = 5;
const openings = z.array(z.string()).min(1);

/** `accepted` of the ids were taken over from the drafts of the running system, in `steps` steps. */
export type Told = Written & { accepted: number; steps: number };
/** `prompts`: at most so many of each domain. */
export type Amount = { prompts: number; tokens: number };

/** Every prompt's text twice: greedily, then drawn. */
export async function writeTexts(
  data: DataFolder,
  amount: Amount,
  say: (line: string) => void,
): Promise<Told[]> {
  const python = await ensureConvertPython(data, say);
  const domains: Record<string, Prompt[]> = {
    code: await fetchHumanEvalPrompts(data.cache, python.path),
    chat: readChatPrompts(),
    prose: await readOpenings(),
  };
  const system = await startTemporarySystem({ target: "smollm2", say });
  try {
    const { text, vocab } = await readTargetText(join(data.models, system.target));
    const idOf = idsByName(text, vocab);
    const texts: Told[] = [];
    for (const [domain, prompts] of Object.entries(domains)) {
      const before = texts.length;
      for (const [seed, prompt] of spread(prompts, amount.prompts).entries()) {
        const asked = { domain, prompt: encode(prompt, text) };
        const greedy = await askAgain(say, () => writeGreedily(system, prompt, amount.tokens));
        const drawn = await askAgain(say, () => draw(system, asked.prompt, amount.tokens, seed, idOf));
        texts.push({ ...asked, ...greedy }, { ...asked, ...drawn });
      }
      say(`${domain}: ${texts.length - before} texts`);
    }
    return texts;
  } finally {
    await system.stop();
  }
}

/** A request that broke off is asked again: its text is the same, no time is measured, and many others were written. */
async function askAgain<T>(say: (line: string) => void, ask: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await ask();
    } catch (error) {
      if (tries === TRIES) throw error;
      say(`asked again: ${error}`);
    }
  }
}

async function writeGreedily(system: Endpoint, prompt: Prompt, maxTokens: number) {
  const settings = { maxTokens, temperature: 0, seed: 0, drafts: "honest", noStore: true } as const;
  const { ids, accepted, steps } = await complete(system, prompt, settings);
  return { ids, accepted, steps };
}

async function draw(
  system: Endpoint,
  prompt: readonly number[],
  maxTokens: number,
  seed: number,
  idOf: ReadonlyMap<string, number>,
) {
  return { ...(await drawText(system, { prompt, maxTokens, seed }, idOf)), seed: String(seed) };
}

/** Of ids with the same name the first: what it is called is all that the API tells of a token. */
function idsByName({ nameOf }: TargetText, vocab: number): Map<string, number> {
  const ids = new Map<string, number>();
  for (let id = 0; id < vocab; id++) if (!ids.has(nameOf(id))) ids.set(nameOf(id), id);
  return ids;
}

/** Beginnings of texts of our own. */
async function readOpenings(): Promise<Prompt[]> {
  const path = join(ROOT, "test/cases/prose-prompts.json");
  return openings
    .parse(JSON.parse(await readFile(path, "utf8")))
    .map((prompt, i) => ({ name: `prose/${i}`, request: { prompt } }));
}

/** `count` of the items, evenly spaced. */
const spread = <T>(items: readonly T[], count: number): T[] =>
  items.length <= count
    ? [...items]
    : Array.from({ length: count }, (_, i) => items[Math.floor((i * items.length) / count)]!);
