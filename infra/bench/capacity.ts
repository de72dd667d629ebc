/**
 * `capacity`: tokens per second of all sessions together, for 1 to 16 at once, with drafts off and on.
 *
 * Sessions ask for one text after the other, with drafts off and on in turn. More sessions than the verifier's slots
 * wait in its queue. Paced, all texts are alike, and counted is what arrives in a window of time after a warm-up;
 * real ones differ, so the same prompts are asked both ways, and counted are all tokens until the last has come.
 * Paced: emulated, all times × 4, the network's too (30 ms before that), with the oracle as a draft; the draft beside
 * the target is worked out: its verifier drafts for one sequence after the other on its own core, between its steps,
 * with the best block length. Real: the whole system on this machine, HumanEval prompts, the draft that ships.
 */
import { ensureConvertPython } from "../models/python-env.ts";
import { openDataFolder } from "../start/paths.ts";
import { complete, type Drafts } from "./client.ts";
import { besideTokS } from "./paced/beside.ts";
import { drawTruth, oracleDrafter, PROMPT } from "./paced/cell.ts";
import { runCrowd, runThrough } from "./paced/crowd.ts";
import { type Lane, openLanes } from "./paced/lane.ts";
import { pacedAs7B } from "./paced/regime.ts";
import { leaveVerifierCore } from "./pinning.ts";
import { fetchHumanEvalPrompts, type Prompt } from "./prompts.ts";
import { type Bench, type Row, round, type Summary } from "./result.ts";
import { startTemporarySystem } from "./temporary-system.ts";

const SESSIONS = [1, 2, 4, 8, 16];
/** Of the paced verifier; the real one has as many as it has by itself. */
const SLOTS = 8;
/** A text may wait as long as the ones before it take. */
const QUEUE_TIMEOUT_MS = "120000";
const ALPHA = 0.8;
const RTT_MS = 30;
const DILATION = 4;
/** `tokens`: length of a text; `texts`: of each session of a real run. */
type Extent = { pacedMs: number; tokens: number; texts: number; realSessions: readonly number[] };
const FULL: Extent = { pacedMs: 45_000, tokens: 128, texts: 3, realSessions: SESSIONS };
const QUICK: Extent = { pacedMs: 3_000, tokens: 16, texts: 2, realSessions: [1, 8] };

export const benchCapacity: Bench = async ({ quick }, say) => {
  const extent = quick ? QUICK : FULL;
  const rows = [...(await measurePaced(extent, say)), ...(await measureReal(extent, say))];
  return { rows, summary: summarise(rows) };
};

/** A lane for each number of sessions: they mostly wait. */
async function measurePaced({ pacedMs, tokens }: Extent, say: (line: string) => void): Promise<Row[]> {
  const settings = { SLOTS: String(SLOTS), QUEUE_TIMEOUT_MS };
  const lanes = await openLanes(SESSIONS.length, pacedAs7B(DILATION), settings);
  try {
    return await lanes.map(SESSIONS, async (sessions, lane) => {
      lane.setRtt(RTT_MS);
      const text = { prompt: PROMPT, maxTokens: tokens };
      const { ids } = await lane.complete(text);
      const off = await runCrowd(sessions, pacedMs, () => lane.complete(text));
      const ours = await runCrowd(sessions, pacedMs, (n) => {
        const truth = drawTruth(lane, ids, ALPHA, n);
        return lane.complete(text, oracleDrafter(lane, truth, ALPHA));
      });
      const overrun_share = round(await lane.overrunShare(), 3);
      const row = { ...rowOf("paced", sessions, off.tokS, beside(lane, sessions), ours), overrun_share };
      say(`paced, ${sessions} sessions: ${round(ours.tokS / off.tokS, 2)}`);
      return row;
    });
  } finally {
    await lanes.close();
  }
}

const beside = ({ regime }: Lane, sessions: number): number =>
  besideTokS(regime, Math.min(SLOTS, sessions), ALPHA);

async function measureReal(extent: Extent, say: (line: string) => void): Promise<Row[]> {
  const { realSessions, tokens, texts } = extent;
  const data = openDataFolder();
  const python = await ensureConvertPython(data, say);
  const prompts = await fetchHumanEvalPrompts(data.cache, python.path);
  const system = await startTemporarySystem({
    ...{ target: "smollm2", say, pinned: leaveVerifierCore() },
    verifierEnv: { QUEUE_TIMEOUT_MS },
  });
  const run = async (sessions: number, drafts: Drafts) => {
    // At least eight, so that one session's texts are not all alike.
    const asked = prompts.slice(0, Math.max(8, sessions * texts)).map(unseen);
    const settings = { maxTokens: tokens, temperature: 0, seed: 0, drafts, noStore: true };
    return runThrough(sessions, asked, (prompt) => complete(system, prompt, settings));
  };
  try {
    const rows: Row[] = [];
    for (const sessions of realSessions) {
      const off = await run(sessions, "off");
      const ours = await run(sessions, "honest");
      rows.push(rowOf("real", sessions, off.tokS, null, ours));
      say(`real, ${sessions} sessions: ${round(ours.tokS / off.tokS, 2)}`);
    }
    return rows;
  } finally {
    await system.stop();
  }
}

let runs = 0;
/** The prompt behind a line that no other run has: no run takes over what the verifier computed for the one before. */
function unseen(prompt: Prompt): Prompt {
  const { request } = prompt;
  if (!("prompt" in request)) throw new Error(`${prompt.name} is not a plain completion`);
  return { ...prompt, request: { ...request, prompt: `# ${runs++}\n${request.prompt}` } };
}

const rowOf = (
  mode: string,
  sessions: number,
  offTokS: number,
  besideTokS: number | null,
  ours: { tokS: number; p95GapMs: number },
): Row => ({
  ...{ mode, sessions, off_tok_s: round(offTokS, 2) },
  beside_tok_s: besideTokS === null ? null : round(besideTokS, 2),
  ...{ ours_tok_s: round(ours.tokS, 2), p95_gap_ms: round(ours.p95GapMs, 1) },
});

/** `at_8` and `at_16` are of the paced rows. */
function summarise(rows: readonly Row[]): Summary {
  const over = (row: Row | undefined, name: string) =>
    round((row?.ours_tok_s as number) / (row?.[name] as number), 3);
  const paced = (sessions: number) => rows.find((row) => row.mode === "paced" && row.sessions === sessions);
  return {
    worst_over_off: Math.min(...rows.map((row) => over(row, "off_tok_s"))),
    over_off_at_8: over(paced(8), "off_tok_s"),
    over_beside_at_8: over(paced(8), "beside_tok_s"),
    over_off_at_16: over(paced(16), "off_tok_s"),
    over_beside_at_16: over(paced(16), "beside_tok_s"),
  };
}
