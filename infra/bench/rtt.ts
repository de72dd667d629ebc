/**
 * `rtt`: what drafting at the edge is worth by acceptance and distance, beside the forms that are usual.
 *
 * Oracle rows: the oracle draft on a paced target. Ours is the edge's own completion, drafter and frames, and the
 * real verification service, through a proxy for the network. A cell's forms are measured in turn, on the same texts
 * and the same right and wrong guesses; a few cells at once, since they mostly wait.
 * Real rows: the whole system with the draft that ships, the default target paced, HumanEval prompts (paced/real.ts).
 * Speed-ups are of (tokens − 1) / (time of the last − time of the first token), over the paced target alone.
 */
import type { Bench } from "./main.ts";
import { type Cell, type CellShape, type Extent, measureCell } from "./paced/cell.ts";
import { openLanes } from "./paced/lane.ts";
import { ALPHAS, promised, RTTS_MS } from "./paced/promised.ts";
import { measureReal } from "./paced/real.ts";
import { pacedAs7B } from "./paced/regime.ts";
import { median, type Row, round, type Summary } from "./result.ts";

const LANES = 8;
const FULL = { cell: { rounds: 12, maxTokens: 128 }, prompts: 12, maxTokens: 128 };
const QUICK = { cell: { rounds: 1, maxTokens: 32 }, prompts: 1, maxTokens: 24 };
/** A cell keeps its promise from this share of it on. */
const LEAST_OF_PROMISE = 0.9;

export const benchRtt: Bench = async ({ quick }, say) => {
  const extent = quick ? QUICK : FULL;
  const rows = await measureOracle(extent.cell, say);
  const real = await measureReal(extent, say);
  return { rows: [...rows, ...real.rows], summary: { ...summarise(rows), ...real.summary } };
};

async function measureOracle(extent: Extent, say: (line: string) => void): Promise<Row[]> {
  const lanes = await openLanes(LANES, pacedAs7B());
  try {
    const cells = ALPHAS.flatMap((alpha) => RTTS_MS.map((rttMs) => ({ alpha, rttMs })));
    return await lanes.map(cells, async (cell, lane) => {
      const measured = await measureCell(lane, cell, extent);
      const row = { ...rowOf(cell, measured), overrun_share: round(await lane.overrunShare(), 3) };
      say(`alpha ${cell.alpha}, ${cell.rttMs} ms: ${row.ours} of ${row.promised}`);
      return row;
    });
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
