/**
 * `acceptance`: how well a release foresees its target, per domain, through the real path: the target's text comes from
 * a running system over its API, the guesses from the edge's kernel. Beside it the same texts offline, in PyTorch, on
 * the same image; with --draft FOLDER also on that draft's weights as floats, int8 and int4. --release FOLDER: another
 * release than the one that ships. Greedy texts, and texts drawn at temperature 1 with noise that the draft shares.
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ensureTrainerPython } from "../check/setup.ts";
import { openDataFolder, ROOT } from "../start/paths.ts";
import { openDraft } from "./acceptance/draft.ts";
import { acceptedLengths, type Foreseen, foreseeByKernel, matches } from "./acceptance/kernel.ts";
import { foresee, type Offline } from "./acceptance/offline.ts";
import { type Told, writeTexts } from "./acceptance/texts.ts";
import { temperatureOf } from "./acceptance/written.ts";
import { type Result, type Row, round } from "./result.ts";

const SHIPPED = join(ROOT, "infra/models/smollm2/draft");
const AMOUNTS = { quick: { prompts: 3, tokens: 48 }, full: { prompts: 40, tokens: 128 } };
const FLOATS_AND_ROUNDED = { fp32: 0, int8: 8, int4: 4 };
type Options = { quick: boolean; release?: string; draft?: string };
type Seen = Told & Foreseen;

export async function benchAcceptance(
  { quick, release = SHIPPED, draft }: Options,
  say: (line: string) => void,
): Promise<Pick<Result, "rows" | "summary">> {
  const data = openDataFolder();
  const python = await ensureTrainerPython(data, say);
  const edges = await openDraft(join(release, "model.draft"));
  const texts = await writeTexts(data, quick ? AMOUNTS.quick : AMOUNTS.full, say);
  const folder = await mkdtemp(join(tmpdir(), "bench-acceptance-"));
  try {
    const file = join(folder, "texts.jsonl");
    await writeFile(file, texts.map(asLine).join("\n"));
    const found = foresee(python, file, ["--release", release]);
    const seen: Seen[] = [];
    for (const text of texts) seen.push({ ...text, ...(await foreseeByKernel(edges, text)) });
    const offline = [{ source: "offline", found: await found }];
    for (const [name, bits] of draft ? Object.entries(FLOATS_AND_ROUNDED) : []) {
      const flags = ["--draft", draft!, "--bits", String(bits)];
      offline.push({ source: `offline ${name}`, found: await foresee(python, file, flags) });
    }
    return resultOf(seen, offline);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

const asLine = ({ domain, prompt, ids, seed, top }: Told): string =>
  JSON.stringify({ domain, prompt, ids, seed, top });

function resultOf(
  seen: readonly Seen[],
  offline: readonly { source: string; found: Offline }[],
): Pick<Result, "rows" | "summary"> {
  const rows: Row[] = [];
  const summary: Record<string, Row> = {};
  for (const domain of new Set(seen.map((text) => text.domain))) {
    const [greedy, drawn] = ([0, 1] as const).map((temperature) => {
      const texts = seen.filter((text) => text.domain === domain && temperatureOf(text) === temperature);
      const beside = offline.map(({ source, found }) => ({
        source,
        figures: found.find((row) => row.domain === domain && row.temperature === temperature)!,
      }));
      rows.push(kernelRow(texts, "kernel", false));
      for (const { source, figures } of beside) rows.push(offlineRow(figures, source));
      rows.push(kernelRow(texts, "lookup, then kernel", true));
      return { texts, offline: beside[0]!.figures };
    });
    summary[domain] = {
      greedy_service: round(matches(greedy!.texts), 4),
      greedy_offline: round(greedy!.offline.matches, 4),
      one_minus_tv_service: round(mean(drawn!.texts.flatMap(({ shared }) => shared)), 4),
      one_minus_tv_offline: round(drawn!.offline.one_minus_tv!, 4),
      ids: greedy!.offline.ids,
      live_accepted_per_step: round(perStep(greedy!.texts), 3),
    };
  }
  return { rows, summary };
}

function kernelRow(texts: readonly Seen[], source: string, withLookup: boolean): Row {
  const { domain } = texts[0]!;
  const temperature = temperatureOf(texts[0]!);
  const accepted = (drafted: number) =>
    round(mean(texts.flatMap((text) => acceptedLengths(text, text.said, drafted, withLookup))), 3);
  const alone = withLookup ? null : round(matches(texts), 4);
  return {
    ...{ domain, temperature, source },
    greedy: temperature === 0 ? alone : null,
    one_minus_tv:
      temperature === 1 && !withLookup ? round(mean(texts.flatMap(({ shared }) => shared)), 4) : null,
    drawn_alike: temperature === 1 ? alone : null,
    ...{ accepted_len_4: accepted(4), accepted_len_8: accepted(8) },
  };
}

function offlineRow(found: Offline[number], source: string): Row {
  const { domain, temperature, matches, one_minus_tv, accepted_len_4, accepted_len_8 } = found;
  return {
    ...{ domain, temperature, source },
    greedy: temperature === 0 ? round(matches, 4) : null,
    one_minus_tv: one_minus_tv === null ? null : round(one_minus_tv, 4),
    drawn_alike: temperature === 1 ? round(matches, 4) : null,
    ...{ accepted_len_4: round(accepted_len_4, 3), accepted_len_8: round(accepted_len_8, 3) },
  };
}

const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

const perStep = (texts: readonly Told[]): number =>
  texts.reduce((sum, { accepted }) => sum + accepted, 0) / texts.reduce((sum, { steps }) => sum + steps, 0);
