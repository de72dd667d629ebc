/** Gate `golden`: what the kernel computes is what PyTorch computes with the same rounded weights. */
import type { Gate } from "../../gpu-service/protocol/jobs.ts";
import type { Candidate } from "./candidate.ts";
import type { Golden } from "./evidence.ts";

/**
 * The kernel rounds activations and cache to int8, 1/127 of the largest in a group of 32: an RMS error of about 1/180
 * of the group's own RMS. Four such roundings lie one behind the other in a layer, two in the head; their errors add
 * as squares. A quarter more is allowed.
 */
const ERROR_OF_ROUNDING = 1 / 180;
const ROUNDINGS = { layer: 4, head: 2 };
const ALLOWANCE = 1.25;
/** Share of positions with the same likeliest id: the likeliest two may lie closer than that error. */
const LEAST_AGREED = 0.85;

export async function goldenGate(candidate: Candidate, { cases }: Golden): Promise<Gate> {
  const { layers } = candidate.engine.header.shape;
  const allowed = ALLOWANCE * ERROR_OF_ROUNDING * Math.sqrt(ROUNDINGS.layer * layers + ROUNDINGS.head);
  const compared: Position[] = [];
  for (const one of cases) compared.push(...(await compare(candidate, one)));
  const errors = compared.flatMap((position) => position.errors);
  // A missing row makes it NaN, which passes nothing.
  const error = Math.sqrt(errors.reduce((sum, e) => sum + e * e, 0) / errors.length);
  const agreed = compared.filter((position) => position.agrees).length / compared.length;
  return {
    gate: "golden",
    passed: error <= allowed && agreed >= LEAST_AGREED,
    message: `logits differ from PyTorch's by ${inPercent(error)} of their spread (at most ${inPercent(allowed)}); the likeliest id is the same at ${inPercent(agreed)} of positions (at least ${inPercent(LEAST_AGREED)})`,
    figures: { ...(Number.isFinite(error) && { error }), allowed, agreed },
  };
}

type Position = {
  /** Of the largest logits, in standard deviations of all of them. */
  errors: number[];
  agrees: boolean;
};

async function compare(
  { engine, rowOf }: Candidate,
  { ids, top_ids, top_logits }: Golden["cases"][number],
): Promise<Position[]> {
  const sequence = engine.open();
  const positions: Position[] = [];
  try {
    for (const [at, id] of ids.entries()) {
      sequence.extend([id]);
      const { tokens } = await sequence.draft(1, { temperature: 0, seed: 0n });
      sequence.rewind(at + 1);
      const logits = engine.logits();
      const spread = standardDeviation(logits);
      const [likeliest, wanted] = [top_ids[at] ?? [], top_logits[at] ?? []];
      positions.push({
        errors: likeliest.map((top, rank) => {
          const row = rowOf(top);
          return ((row === undefined ? Number.NaN : logits[row]!) - wanted[rank]!) / spread;
        }),
        agrees: tokens[0]?.id === likeliest[0],
      });
    }
    return positions;
  } finally {
    sequence.close();
  }
}

function standardDeviation(values: Float32Array): number {
  const mean = values.reduce((a, b) => a + b) / values.length;
  return Math.sqrt(values.reduce((sum, v) => sum + (v - mean) ** 2, 0) / values.length);
}

const inPercent = (share: number): string => `${(100 * share).toFixed(1)}%`;
