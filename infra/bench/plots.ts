/** What `--plot` draws of a benchmark's rows. */
import { type Chart, writeCharts } from "./plot.ts";
import type { Row } from "./result.ts";

const number = (row: Row, name: string): number => row[name] as number;
const line = (name: string, rows: readonly Row[], x: string, y: (row: Row) => number) => ({
  name,
  points: rows.map((row) => [number(row, x), y(row)] as const),
});

const CHARTS: Record<string, (rows: readonly Row[]) => Chart[]> = {
  rtt: rttCharts,
  capacity: capacityCharts,
};

/** Draws to docs/plots. Whether there is anything to draw for this benchmark. */
export function plot(bench: string, rows: readonly Row[]): boolean {
  const charts = CHARTS[bench];
  if (charts) writeCharts(`${bench}.svg`, charts(rows));
  return charts !== undefined;
}

function rttCharts(all: readonly Row[]): Chart[] {
  const oracle = all.filter(({ draft }) => draft === "oracle");
  return [...new Set(oracle.map(({ alpha }) => alpha))].map((alpha) => {
    const rows = oracle.filter((row) => row.alpha === alpha);
    const asking = (row: Row) => Math.max(number(row, "ask_wait"), number(row, "ask_wait_flight"));
    const of = (name: string, y: (row: Row) => number) => line(name, rows, "rtt_ms", y);
    return {
      ...{ title: `acceptance ${alpha}`, x: "round trip, ms", y: "speed-up over the target alone" },
      lines: [
        of("Outrider", (row) => number(row, "ours")),
        of("promised", (row) => number(row, "promised")),
        of("better ask-and-wait", asking),
        of("draft beside the target", (row) => number(row, "beside")),
      ],
    };
  });
}

function capacityCharts(all: readonly Row[]): Chart[] {
  return ["paced", "real"].map((mode) => {
    const rows = all.filter((row) => row.mode === mode);
    const of = (name: string, field: string) => line(name, rows, "sessions", (row) => number(row, field));
    const beside = mode === "paced" ? [of("draft beside the target", "beside_tok_s")] : [];
    const lines = [of("Outrider", "ours_tok_s"), of("drafts off", "off_tok_s"), ...beside];
    return { title: mode, x: "sessions", y: "tokens/s of all", lines };
  });
}
