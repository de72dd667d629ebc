/** What `vllm` says of its variants. */
import { median, type Row, round } from "../result.ts";

export type Result = { ids: readonly number[]; steps: number; tokS: number };
/** `plain`: the same text without hints. */
export type Measured = { plain: Result; result: Result };

export function rowOf(mode: string, results: readonly Measured[]): Row {
  const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
  const steps = sum(results.map(({ result }) => result.steps));
  return {
    mode,
    steps,
    tokens_per_step: round(sum(results.map(({ result }) => result.ids.length)) / steps, 3),
    tok_s: round(median(results.map(({ result }) => result.tokS)), 1),
    times_plain: round(median(results.map(({ result, plain }) => result.tokS / plain.tokS)), 3),
    identical: results.every(({ result, plain }) => result.ids.join() === plain.ids.join()),
  };
}

export function summarise(rows: readonly Row[]): Row {
  const of = (mode: string) => rows.find((row) => row.mode === mode)!;
  return {
    worst_identical: rows.every(({ identical }) => identical === true),
    correct_hints_steps_ratio: round(Number(of("plain").steps) / Number(of("right-hints").steps), 2),
    wrong_hints_ratio: of("wrong-hints").times_plain!,
    edge_over_vllm_draft: round(
      Number(of("edge").tokens_per_step) / Number(of("vllm-draft").tokens_per_step),
      3,
    ),
  };
}
