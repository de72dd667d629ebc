/** What every benchmark prints: a table for people, one JSON object for programs. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { cpus } from "node:os";
import { ROOT } from "../start/paths.ts";

export type Row = Record<string, string | number | boolean | null | Record<string, number>>;
/** One row for each suite, or one entry for each figure. */
export type Summary = Record<string, Row | Row[string]>;
export type Result = {
  bench: string;
  commit: string;
  /** ISO 8601. */
  date: string;
  machine: { cpu: string; cores: number; features: string[] };
  quick: boolean;
  rows: Row[];
  summary: Summary;
};

/** Options are the command line's; `say`: progress. */
export type Bench = (
  options: {
    quick: boolean;
    shape?: string;
    against?: string;
    target?: string;
    suite?: string;
    release?: string;
    draft?: string;
    pair?: string;
  },
  say: (line: string) => void,
) => Promise<Pick<Result, "rows" | "summary">>;

/** The instruction sets that decide how fast this project's kernels run. */
const FEATURES = [
  "sse4_1",
  "avx2",
  "fma",
  "avx512f",
  "avx512_vnni",
  "avx_vnni",
  "avx512_bf16",
  "amx_int8",
  "asimd",
];

export function makeResult(
  bench: string,
  quick: boolean,
  measured: { rows: Row[]; summary: Summary },
): Result {
  return {
    bench,
    commit: readCommit(),
    date: new Date().toISOString(),
    machine: readMachine(),
    quick,
    ...measured,
  };
}

function readCommit(): string {
  try {
    const git = (...args: string[]) => execFileSync("git", args, { cwd: ROOT, encoding: "utf8" }).trim();
    const changed = git("status", "--porcelain", "--untracked-files=no") !== "";
    return git("rev-parse", "--short=12", "HEAD") + (changed ? "+changes" : "");
  } catch {
    return "unknown";
  }
}

function readMachine(): Result["machine"] {
  const cores = cpus();
  let flags = "";
  try {
    flags = /^(?:flags|Features)\s*:(.*)$/m.exec(readFileSync("/proc/cpuinfo", "utf8"))?.[1] ?? "";
  } catch {
    // Not Linux: the CPU's name has to do.
  }
  const words = new Set(flags.trim().split(/\s+/));
  return {
    cpu: cores[0]?.model.trim() ?? "unknown",
    cores: cores.length,
    features: FEATURES.filter((feature) => words.has(feature)),
  };
}

export function median(values: readonly number[]): number {
  if (values.length === 0) return Number.NaN;
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

export const round = (value: number, digits: number): number => Number(value.toFixed(digits));

/** Rows as a table with aligned columns. */
export function formatTable(rows: readonly Row[]): string {
  const names = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  const cells = [names, ...rows.map((row) => names.map((name) => formatCell(row[name])))];
  const widths = names.map((_, column) => Math.max(...cells.map((line) => line[column]!.length)));
  return cells
    .map((line) =>
      line
        .map((cell, i) => cell.padEnd(widths[i]!))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

const formatCell = (value: Row[string] | undefined): string =>
  typeof value === "object" && value !== null ? JSON.stringify(value) : String(value ?? "");
