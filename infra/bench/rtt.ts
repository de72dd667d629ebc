/**
 * `rtt`: what drafting at the edge is worth by acceptance and distance, beside the forms that are usual.
 *
 * Oracle rows: the oracle draft on a paced target. Ours is the edge's own completion, drafter and frames, and the
 * real verification service, through a proxy for the network. A cell's forms are measured in turn, on the same texts
 * and the same right and wrong guesses; a few cells at once, since they mostly wait.
 * Real rows: the whole system with the draft that ships, the default target paced, HumanEval prompts (paced/real.ts).
 * Speed-ups are of (tokens − 1) / (time of the last − time of the first token), over the paced target alone.
 */
import { type Cell, type CellShape, type Extent, measureCell, targetText } from "./paced/cell.ts";
import { openLanes } from "./paced/lane.ts";
import { ALPHAS, promised, RTTS_MS } from "./paced/promised.ts";
import { startReal } from "./paced/real.ts";
import { pacedAs7B } from "./paced/regime.ts";
import { type Bench, median, type Row, round, type Summary } from "./result.ts";

const LANES = 8;
const FULL = { cell: { rounds: 24, tokens: 128, plainTokens: 64 }, prompts: 12, maxTokens: 128 };
/** One text of each cell, of full length: the controller learns within it. */
const QUICK = { cell: { rounds: 1, tokens: 128, plainTokens: 32 }, prompts: 2, maxTokens: 32 };
/** A cell keeps its promise from this share of it on. */
const LEAST_OF_PROMISE = 0.9;

/** What takes long to start is started before anything is measured, so that nothing is measured beside it. */
export const benchRtt: Bench = async ({ quick }, say) => {
  const extent = quick ? QUICK : FULL;
  const real = await startReal(say);
  try {
    const rows = await measureOracle(extent.cell, say);
    const whole = await real.measure(extent);
    return { rows: [...rows, ...whole.rows], summary: { ...summarise(rows), ...whole.summary } };
  } finally {
    await real.stop();
  }
};

async function measureOracle(extent: Extent, say: (line: string) => void): Promise<Row[]> {
  // The slowest first, so that no lane is left with one at the end.
  const cells = RTTS_MS.toReversed().flatMap((rttMs) => ALPHAS.map((alpha) => ({ alpha, rttMs })));
  const lanes = await openLanes(LANES, pacedAs7B());
  try {
    const [ids] = await lanes.map([extent.tokens], (tokens, lane) => targetText(lane, tokens));
    const rows = await lanes.map(cells, async (cell, lane) => {
      const measured = await measureCell(lane, cell, ids!, extent);
      const row = { ...rowOf(cell, measured), overrun_share: round(await lane.overrunShare(), 3) };
      say(`alpha ${cell.alpha}, ${cell.rttMs} ms: ${row.ours} of ${row.promised}`);
      return row;
    });
    return rows.sort((a, b) => a.alpha - b.alpha || a.rtt_ms - b.rtt_ms);
  } finally {
    await lanes.close();
  }
}

function rowOf({ alpha, rttMs }: CellShape, cell: Cell) {
  const over = (values: readonly number[]) => round(median(values) / median(cell.plain), 3);
  const reports = cell.reports.map(({ ids, report }) => ({ tokens: ids.length, counts: report!.counts }));
  const steps = sum(reports.map(({ counts }) => counts.steps));
  const rows = sum(reports.map(({ counts }) => sum(counts.drafted.model ?? [])));
  return {
    ...{ draft: "oracle", alpha, rtt_ms: rttMs, plain: 1 },
    ask_wait: over(cell.ask_wait),
    ask_wait_flight: over(cell.ask_wait_flight),
    beside: over(cell.beside),
    ours: over(cell.ours),
    promised: promised(alpha, rttMs),
    tokens_per_step: round(sum(reports.map(({ tokens }) => tokens)) / steps, 2),
    hint_rows_per_step: round(rows / steps, 2),
  };
}

/** Of the oracle rows. `worst_over_ask_wait`: ours over the better ask-and-wait form, by distance. */
function summarise(rows: readonly Row[]): Summary {
  const number = (row: Row, name: string) => row[name] as number;
  const overAsking = (row: Row) =>
    number(row, "ours") / Math.max(number(row, "ask_wait"), number(row, "ask_wait_flight"));
  const worst = (values: readonly number[]) => round(Math.min(...values), 3);
  const below = rows.filter((row) => number(row, "ours") < LEAST_OF_PROMISE * number(row, "promised"));
  return {
    worst_ours: worst(rows.map((row) => number(row, "ours"))),
    cells_below_promise: below.length,
    worst_over_ask_wait: Object.fromEntries(
      RTTS_MS.map((rtt) => [rtt, worst(rows.filter((row) => row.rtt_ms === rtt).map(overAsking))]),
    ),
  };
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
