/**
 * What a step costs: milliseconds by sequences and rows, linear between the points, and what attention adds for the
 * text that is cached already.
 *
 * Points are measured at load, when a machine may be busy with other things, so they are corrected by every step
 * that runs. How fast the machine is as a whole just now goes into a common pace, and a point moves by what is left.
 */

/** Of a step on empty caches. */
export type CostPoint = { slots: number; rows: number; ms: number };
/** Milliseconds for each cached position that a sequence has (`read`), and for each that one of its rows looks at. */
export type AttentionCost = { readMs: number; lookMs: number };
export type Costs = { points: readonly CostPoint[]; attention: AttentionCost };
/** Cached positions of a step's sequences, and the same times their rows. */
export type Past = { read: number; looked: number };

export const EMPTY: Past = { read: 0, looked: 0 };
export const FREE: AttentionCost = { readMs: 0, lookMs: 0 };

/** `rows` rows of a sequence with `cached` positions beside what runs already. */
export function withSequence({ read, looked }: Past, cached: number, rows: number): Past {
  return { read: read + cached, looked: looked + cached * rows };
}
/** `rows` more rows of a sequence that is counted already; fewer where `rows` is below zero. */
export function withRows({ read, looked }: Past, cached: number, rows: number): Past {
  return { read, looked: looked + cached * rows };
}
/** One row of each sequence, which have so many positions cached. */
export function plainPast(cached: readonly number[]): Past {
  return cached.reduce((past, positions) => withSequence(past, positions, 1), EMPTY);
}

/** Weight of one step in the pace, and in its points. */
const PACE_GAIN = 0.2;
const POINT_GAIN = 0.02;
/** A step further off than this factor was disturbed: it counts as if it had been no further. */
const MOST_DEVIATION = Math.log(1.5);

export class CostTable {
  /** Points of each graph width, by rows. */
  readonly #widths: { slots: number; points: CostPoint[] }[];
  /** Logarithm of how much slower than the table the machine is just now. */
  #pace = 0;
  readonly #attention: AttentionCost;

  /** Throws if there is no point. Without `attention` cached text costs nothing. */
  constructor(points: readonly CostPoint[], attention: AttentionCost = FREE) {
    if (points.length === 0) throw new Error("cost table: no point measured");
    const widths = [...new Set(points.map((p) => p.slots))].sort((a, b) => a - b);
    this.#attention = attention;
    this.#widths = widths.map((slots) => {
      const own = points.filter((p) => p.slots === slots).sort((a, b) => a.rows - b.rows);
      return { slots, points: neverFalling(own.map((p) => ({ ...p }))) };
    });
  }

  /** Milliseconds of a step with `slots` sequences and `rows` rows in all, as fast as the machine is just now. */
  ms(slots: number, rows: number, past = EMPTY): number {
    const { readMs, lookMs } = this.#attention;
    const attentionMs = past.read * readMs + past.looked * lookMs;
    return (this.#tableMs(slots, rows) + attentionMs) * Math.exp(this.#pace);
  }

  /** A step with so many sequences and rows took `ms`. */
  observe(slots: number, rows: number, past: Past, ms: number): void {
    const points = this.#pointsOf(slots);
    const off = clamp(Math.log(ms / this.ms(slots, rows, past)), MOST_DEVIATION);
    this.#pace += PACE_GAIN * off;
    const [low, high] = around(points, rows);
    const share = clamp((rows - low.rows) / (high.rows - low.rows || 1), 1);
    low.ms *= Math.exp(POINT_GAIN * off * (1 - Math.max(0, share)));
    high.ms *= Math.exp(POINT_GAIN * off * Math.max(0, share));
    neverFalling(points);
  }

  #tableMs(slots: number, rows: number): number {
    const points = this.#pointsOf(slots);
    const first = points[0]!;
    if (rows <= first.rows || points.length === 1) return first.ms * Math.max(1, rows / first.rows);
    const [low, high] = around(points, rows);
    return low.ms + ((high.ms - low.ms) * (rows - low.rows)) / (high.rows - low.rows);
  }

  #pointsOf(slots: number): CostPoint[] {
    return (this.#widths.find((w) => w.slots >= slots) ?? this.#widths[this.#widths.length - 1]!).points;
  }
}

/** The two points between which `rows` lie, or the outermost two. */
function around(points: readonly CostPoint[], rows: number): [CostPoint, CostPoint] {
  let i = Math.min(1, points.length - 1);
  while (i < points.length - 1 && points[i]!.rows < rows) i++;
  return [points[Math.max(0, i - 1)]!, points[i]!];
}

/** Fewer rows never cost more: what makes it seem so disturbs, and disturbances only add. */
function neverFalling(points: CostPoint[]): CostPoint[] {
  for (let i = points.length - 2; i >= 0; i--) points[i]!.ms = Math.min(points[i]!.ms, points[i + 1]!.ms);
  return points;
}

const clamp = (x: number, most: number): number => Math.max(-most, Math.min(most, x));
