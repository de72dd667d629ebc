/** What a step costs: milliseconds by sequences and rows, measured at load, linear between the points. */

export type CostPoint = { slots: number; rows: number; ms: number };

export class CostTable {
  /** Points of each graph width, by rows. */
  readonly #widths: { slots: number; points: CostPoint[] }[];

  /** Throws if there is no point. Times are made never to fall with rows: a dip is noise. */
  constructor(points: readonly CostPoint[]) {
    if (points.length === 0) throw new Error("cost table: no point measured");
    const widths = [...new Set(points.map((p) => p.slots))].sort((a, b) => a - b);
    this.#widths = widths.map((slots) => {
      const own = points.filter((p) => p.slots === slots).sort((a, b) => a.rows - b.rows);
      let least = 0;
      return {
        slots,
        points: own.map((p) => {
          least = Math.max(least, p.ms);
          return { ...p, ms: least };
        }),
      };
    });
  }

  /** Milliseconds of a step with `slots` sequences and `rows` rows in all. */
  ms(slots: number, rows: number): number {
    const width = this.#widths.find((w) => w.slots >= slots) ?? this.#widths[this.#widths.length - 1]!;
    const points = width.points;
    const first = points[0]!;
    if (rows <= first.rows || points.length === 1) return first.ms * Math.max(1, rows / first.rows);
    let i = 1;
    while (i < points.length - 1 && points[i]!.rows < rows) i++;
    const [low, high] = [points[i - 1]!, points[i]!];
    return low.ms + ((high.ms - low.ms) * (rows - low.rows)) / (high.rows - low.rows);
  }

  toPoints(): CostPoint[] {
    return this.#widths.flatMap((w) => w.points);
  }
}
