/**
 * `npm run check:lossless`: the ids with drafts are those without, whatever the hints.
 *
 * Through the real HTTP API, several requests in flight, so that batches form and change under every text.
 */
import { parseArgs } from "node:util";
import { fetchHumanEvalPrompts, readChatPrompts } from "../bench/prompts.ts";
import { startTemporarySystem } from "../bench/temporary-system.ts";
import { ensureConvertPython } from "../models/python-env.ts";
import { openDataFolder } from "../start/paths.ts";
import { runMain } from "../start/run-main.ts";
import { checkLossless, formatReport, isLossless } from "./losslessness.ts";

const say = (line: string) => console.log(line);

await runMain(async () => ((await main()) ? 0 : 1));

async function main(): Promise<boolean> {
  const number = (usual: number) => ({ type: "string", default: String(usual) }) as const;
  const { values } = parseArgs({ options: { tokens: number(128), humaneval: number(50), chat: number(20) } });
  const data = openDataFolder();
  const python = await ensureConvertPython(data, say);
  const humanEval = await fetchHumanEvalPrompts(data.cache, python.path);
  const prompts = [
    ...humanEval.slice(0, Number(values.humaneval)),
    ...readChatPrompts().slice(0, Number(values.chat)),
  ];
  const system = await startTemporarySystem({ target: "smollm2", testHints: true, say });
  try {
    const report = await checkLossless(system, prompts, Number(values.tokens), (done, of) => {
      if (done % 10 === 0) say(`${done} of ${of}`);
    });
    console.log(formatReport(report));
    return isLossless(report);
  } finally {
    await system.stop();
  }
}
