/**
 * `acceptance`: how well a release foresees its target, per domain, through the real path: the target's text comes from
 * a running system over its API, the guesses from the edge's kernel. Beside it the same texts offline, in PyTorch, on
 * the same image; with --draft FOLDER also on that draft's weights as floats, int8 and int4. --release FOLDER: another
 * release than the one that ships.
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ensureTrainerPython } from "../check/setup.ts";
import { openDataFolder, ROOT } from "../start/paths.ts";
import { openDraft } from "./acceptance/draft.ts";
import { acceptedLengths, greedy, modelSays, type Said, type Written } from "./acceptance/kernel.ts";
import { foresee, type Offline } from "./acceptance/offline.ts";
import { writeTexts } from "./acceptance/texts.ts";
import { type Result, type Row, round } from "./result.ts";

const SHIPPED = join(ROOT, "infra/models/smollm2/draft");
const PROMPTS = { quick: 3, full: 40 };
const KV_POSITIONS = 2048;
type Options = { quick: boolean; release?: string; draft?: string };
/** What the draft says with the edge's window, and having read all of the prompt, as it does offline. */
type Seen = Written & { said: Said; saidWhole: Said };

export async function benchAcceptance(
  { quick, release = SHIPPED, draft }: Options,
  say: (line: string) => void,
): Promise<Pick<Result, "rows" | "summary">> {
  const data = openDataFolder();
  const python = await ensureTrainerPython(data, say);
  const image = join(release, "model.draft");
  const edges = await openDraft(image, KV_POSITIONS);
  const whole = await openDraft(image, KV_POSITIONS, KV_POSITIONS);
  const { texts, live } = await writeTexts(data, quick ? PROMPTS.quick : PROMPTS.full, say);
  const seen: Seen[] = [];
  for (const text of texts) {
    const said = await modelSays(edges.engine, text);
    seen.push({ ...text, said, saidWhole: await modelSays(whole.engine, text) });
  }
  const folder = await mkdtemp(join(tmpdir(), "bench-acceptance-"));
  try {
    const file = join(folder, "texts.jsonl");
    await writeFile(file, texts.map((text) => JSON.stringify(text)).join("\n"));
    const offline = [{ source: "offline", found: await foresee(python, file, ["--release", release]) }];
    for (const [name, bits] of draft
      ? ([
          ["fp32", 0],
          ["int8", 8],
          ["int4", 4],
        ] as const)
      : [])
      offline.push({
        source: `offline ${name}`,
        found: await foresee(python, file, ["--draft", draft!, "--bits", String(bits)]),
      });
    return resultOf(seen, offline, live);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function resultOf(
  seen: readonly Seen[],
  offline: readonly { source: string; found: Offline }[],
  live: Record<string, number>,
): Pick<Result, "rows" | "summary"> {
  const rows: Row[] = [];
  const summary: Record<string, Row> = {};
  for (const domain of new Set(seen.map((text) => text.domain))) {
    const texts = seen.filter((text) => text.domain === domain);
    const alone = rowOf(domain, "kernel", texts, false);
    const read = texts.map((text) => ({ ...text, said: text.saidWhole }));
    const whole = rowOf(domain, "kernel, whole prompt", read, false);
    rows.push(alone, whole, rowOf(domain, "lookup, then kernel", texts, true));
    for (const { source, found } of offline) {
      const { greedy, accepted_len_4, accepted_len_8 } = found[domain]!;
      rows.push({
        ...{ domain, temperature: 0, source, greedy: round(greedy, 4), one_minus_tv: null },
        ...{ accepted_len_4: round(accepted_len_4, 3), accepted_len_8: round(accepted_len_8, 3) },
      });
    }
    summary[domain] = {
      greedy_service: Number(alone.greedy),
      greedy_whole_prompt: Number(whole.greedy),
      greedy_offline: round(offline[0]!.found[domain]!.greedy, 4),
      ids: texts.reduce((sum, { ids }) => sum + ids.length, 0),
      live_accepted_per_step: round(live[domain]!, 3),
    };
  }
  return { rows, summary };
}

function rowOf(domain: string, source: string, texts: readonly Seen[], withLookup: boolean): Row {
  const accepted = (drafted: number) => {
    const lengths = texts.flatMap((text) => acceptedLengths(text, text.said, drafted, withLookup));
    return round(lengths.reduce((sum, length) => sum + length, 0) / lengths.length, 3);
  };
  return {
    ...{ domain, temperature: 0, source, greedy: withLookup ? null : round(greedy(texts), 4) },
    ...{ one_minus_tv: null, accepted_len_4: accepted(4), accepted_len_8: accepted(8) },
  };
}
