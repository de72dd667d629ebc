/** One cell of the table: an acceptance and a distance, all forms on the same texts and guesses. */
import { PortfolioDrafter } from "../../../edge/drafting/drafter.ts";
import { bestBlock, FORMS, type Form } from "./asking.ts";
import type { Lane } from "./lane.ts";
import { drawVerdicts, OracleSource, type OracleTruth, type Verdict } from "./oracle.ts";
import { Schedule } from "./schedule.ts";
import { type Timed, tokSOf } from "./session.ts";

export const PROMPT = [5, 301, 17, 88];
/** Of the texts for which the block length is chosen. */
const TUNING_TOKENS = 128;
const TUNING_TEXTS = 100;

export type CellShape = { alpha: number; rttMs: number };
/** How much is measured of it: texts, and tokens of each; fewer of them without drafts, whose pace is even. */
export type Extent = { rounds: number; tokens: number; plainTokens: number };
/** Tokens per second of each round, by form; and the verifier's account of ours. */
export type Cell = Record<Form | "plain" | "ours", number[]> & { reports: Timed[] };

/** The target's own text, the same in all cells. */
export const targetText = async (lane: Lane, maxTokens: number): Promise<readonly number[]> =>
  (await lane.complete({ prompt: PROMPT, maxTokens })).ids;

/** Form by form within a round, so that what else the machine does strikes all alike. `ids`: the target's text. */
export async function measureCell(
  lane: Lane,
  { alpha, rttMs }: CellShape,
  ids: readonly number[],
  { rounds, plainTokens }: Pick<Extent, "rounds" | "plainTokens">,
): Promise<Cell> {
  const { regime } = lane;
  const cell: Cell = { plain: [], ask_wait: [], ask_wait_flight: [], beside: [], ours: [], reports: [] };
  lane.setRtt(rttMs);
  const blocks = tuneBlocks(lane, alpha, rttMs);
  for (let n = 0; n < rounds; n++) {
    cell.plain.push(tokSOf(await lane.complete({ prompt: PROMPT, maxTokens: plainTokens })));
    const truth = drawTruth(lane, ids, alpha, n);
    // Of the quickest round: what slowed the others down was something else.
    const overheadMs = Math.max(0, 1000 / Math.max(...cell.plain) - regime.stepMs(1));
    const shared = { truth, promptLength: PROMPT.length, regime, overheadMs };
    for (const form of FORMS) {
      cell[form].push(tokSOf(await lane.ask({ ...shared, form, block: blocks[form] })));
    }
    const text = { prompt: PROMPT, maxTokens: ids.length };
    const ours = await lane.complete(text, oracleDrafter(lane, truth, alpha));
    if (ours.ids.join() !== ids.join()) throw new Error("a text with drafts is not the text without");
    cell.ours.push(tokSOf(ours));
    cell.reports.push(ours);
  }
  return cell;
}

/** The target's text, and which guesses for it come true in round `n`. */
export const drawTruth = (
  { target: { vocabulary } }: Lane,
  ids: readonly number[],
  alpha: number,
  n: number,
): OracleTruth => ({ text: [...PROMPT, ...ids], verdicts: verdictsOf(alpha, ids.length, 1 + n), vocabulary });

export function oracleDrafter(lane: Lane, truth: OracleTruth, alpha: number): PortfolioDrafter {
  const source = new OracleSource(truth, alpha, lane.regime.draftMs, new Schedule());
  return new PortfolioDrafter(PROMPT, truth.text.length - PROMPT.length, [source]);
}

/** The block length that is best for this cell on average, by arithmetic: what is measured is each form at its best. */
function tuneBlocks(lane: Lane, alpha: number, rttMs: number): Record<Form, number> {
  const { regime } = lane;
  const text = Array.from({ length: PROMPT.length + TUNING_TOKENS }, () => 0);
  const askings = Array.from({ length: TUNING_TEXTS }, (_, n) => ({
    truth: { text, verdicts: verdictsOf(alpha, TUNING_TOKENS, 1000 + n), vocabulary: lane.target.vocabulary },
    ...{ promptLength: PROMPT.length, regime, overheadMs: 0 },
  }));
  const best = (form: Form) =>
    bestBlock(
      askings.map((asking) => ({ ...asking, form })),
      rttMs * regime.dilation,
    );
  return { ask_wait: best("ask_wait"), ask_wait_flight: best("ask_wait_flight"), beside: best("beside") };
}

const verdictsOf = (alpha: number, tokens: number, seed: number): Verdict[] => [
  ...PROMPT.map((): Verdict => "right"),
  ...drawVerdicts(alpha, tokens, seed),
];
