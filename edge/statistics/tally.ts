/** What completions add up to: their drafted and accepted tokens by release, source and arm, as sums over completions. */
import {
  type AcceptanceRow,
  type Arm,
  DRAFT_SOURCES,
  type ServedRow,
} from "../../gpu-service/protocol/statistics.ts";

/** One completion. `drafted` and `accepted`: the verifier's counts by source. */
export type Counted = {
  release: string | null;
  arm: Arm;
  drafted: Partial<Record<string, number>>;
  accepted: Partial<Record<string, number>>;
};

export class Tally {
  readonly #acceptance = new Map<string, AcceptanceRow>();
  readonly #served = new Map<string, ServedRow>();
  #completions = 0;

  get completions(): number {
    return this.#completions;
  }
  get acceptance(): AcceptanceRow[] {
    return [...this.#acceptance.values()];
  }
  get served(): ServedRow[] {
    return [...this.#served.values()];
  }

  add({ release, arm, drafted, accepted }: Counted): void {
    this.#completions++;
    const served = this.#served.get(`${arm} ${release}`) ?? { release, arm, requests: 0 };
    served.requests++;
    this.#served.set(`${arm} ${release}`, served);
    for (const source of DRAFT_SOURCES) {
      const d = drafted[source] ?? 0;
      if (d === 0) continue;
      const a = accepted[source] ?? 0;
      const key = `${arm} ${source} ${release}`;
      const row = this.#acceptance.get(key) ?? { ...NOTHING, release, source, arm };
      row.requests++;
      row.drafted += d;
      row.accepted += a;
      row.drafted_squares += d * d;
      row.accepted_squares += a * a;
      row.products += d * a;
      this.#acceptance.set(key, row);
    }
  }
}

const NOTHING = {
  requests: 0,
  drafted: 0,
  accepted: 0,
  drafted_squares: 0,
  accepted_squares: 0,
  products: 0,
};
