/** What the real target writes greedily, through the API of a running system. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { buildTargetText, type TargetText } from "../../../edge/text/target-text.ts";
import { ensureConvertPython } from "../../models/python-env.ts";
import { type DataFolder, ROOT } from "../../start/paths.ts";
import { complete } from "../client.ts";
import { fetchHumanEvalPrompts, type Prompt, readChatPrompts } from "../prompts.ts";
import { startTemporarySystem } from "../temporary-system.ts";
import type { Written } from "./kernel.ts";

const MOST_TOKENS = 128;
const openings = z.array(z.string()).min(1);
const targetSchema = z.object({
  vocab_size: z.int(),
  context: z.int(),
  bos_id: z.int().nullable(),
  eos_ids: z.array(z.int()),
  tokenizer_sha256: z.string(),
});

type Texts = {
  texts: Written[];
  /** Ids that a step of the running system took over from its drafts, mean per domain. */
  live: Record<string, number>;
};

/** At most `count` prompts of each domain. */
export async function writeTexts(
  data: DataFolder,
  count: number,
  say: (line: string) => void,
): Promise<Texts> {
  const python = await ensureConvertPython(data, say);
  const domains: Record<string, Prompt[]> = {
    code: await fetchHumanEvalPrompts(data.cache, python.path),
    chat: readChatPrompts(),
    prose: await readOpenings(),
  };
  const system = await startTemporarySystem({ target: "smollm2", say });
  try {
    const text = await readTargetText(join(data.models, system.target));
    const result: Texts = { texts: [], live: {} };
    for (const [domain, prompts] of Object.entries(domains)) {
      let [accepted, steps] = [0, 0];
      for (const prompt of spread(prompts, count)) {
        const settings = {
          maxTokens: MOST_TOKENS,
          temperature: 0,
          seed: 0,
          drafts: "honest",
          noStore: true,
        } as const;
        const completion = await complete(system, prompt, settings);
        accepted += completion.accepted;
        steps += completion.steps;
        result.texts.push({ domain, prompt: encode(prompt, text), ids: completion.ids });
      }
      result.live[domain] = accepted / steps;
      say(`${domain}: ${result.texts.filter((one) => one.domain === domain).length} texts`);
    }
    return result;
  } finally {
    await system.stop();
  }
}

/** Beginnings of texts of our own. */
async function readOpenings(): Promise<Prompt[]> {
  const path = join(ROOT, "test/cases/prose-prompts.json");
  return openings
    .parse(JSON.parse(await readFile(path, "utf8")))
    .map((prompt, i) => ({ name: `prose/${i}`, request: { prompt } }));
}

async function readTargetText(folder: string): Promise<TargetText> {
  const read = async (name: string) => JSON.parse(await readFile(join(folder, name), "utf8"));
  const config = await read("tokenizer_config.json");
  const template = await readFile(join(folder, "chat_template.jinja"), "utf8");
  const manifest = {
    ...{
      format_version: 1 as const,
      kind: "target" as const,
      id: "target",
      special: {},
      chat_template: template,
    },
    ...targetSchema.parse(await read("manifest.json")),
    files: { "tokenizer.json": { sha256: "", bytes: 1 } },
  };
  return buildTargetText(manifest, await read("tokenizer.json"), config);
}

function encode({ request }: Prompt, text: TargetText): number[] {
  if ("prompt" in request) return text.encode(request.prompt, true);
  const rendered = text.chat!(request.messages);
  if (!rendered.ok) throw new Error(rendered.message);
  return text.encode(rendered.text, false);
}

/** `count` of the items, evenly spaced. */
const spread = <T>(items: readonly T[], count: number): T[] =>
  items.length <= count
    ? [...items]
    : Array.from({ length: count }, (_, i) => items[Math.floor((i * items.length) / count)]!);
