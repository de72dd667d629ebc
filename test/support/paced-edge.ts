/**
 * An edge on a virtual clock that drafts one id at a time: right with probability `alpha`; a wrong guess has the
 * right runner-up in `branchHit` of the cases, and drafting then goes on along it, as hints' branches.
 */
import type { HintFrame, HintSource } from "../../gpu-service/protocol/frames.ts";
import { scriptedId, wrongId } from "./paced-target.ts";
import { randomFrom } from "./random.ts";

export type EdgeSettings = {
  alpha: number;
  branchHit: number;
  /** Most ids beyond the last confirmed one. */
  ahead: number;
  source: HintSource;
  seed: number;
};
type Draw = "right" | "runner-up" | "wrong";

export class PacedEdge {
  readonly #stream: number;
  readonly #first: number;
  readonly #ahead: number;
  readonly #source: HintSource;
  readonly #end: number;
  readonly #draws: Draw[];
  readonly #promptTokens: number;
  #known: number;
  #path = 0;
  #drafted: number;
  /** The first position of this path that nothing foretold rightly. */
  #wrong = Number.POSITIVE_INFINITY;
  /** The first position of this path whose right id is a runner-up. */
  #fork = Number.POSITIVE_INFINITY;

  constructor(stream: number, prompt: readonly number[], maxTokens: number, settings: EdgeSettings) {
    const below = randomFrom(settings.seed);
    const chance = (p: number) => below(1_000_000) < p * 1_000_000;
    this.#stream = stream;
    this.#first = prompt[0]!;
    this.#ahead = settings.ahead;
    this.#source = settings.source;
    this.#promptTokens = prompt.length;
    this.#known = prompt.length;
    this.#drafted = prompt.length;
    this.#end = prompt.length + maxTokens;
    this.#draws = Array.from({ length: maxTokens }, () =>
      chance(settings.alpha) ? "right" : chance(settings.branchHit) ? "runner-up" : "wrong",
    );
  }

  /** The text is confirmed up to before `end`. */
  confirm(end: number): void {
    this.#known = end;
    if (end > this.#wrong || this.#drafted < end) {
      this.#path++;
      this.#drafted = end;
      this.#wrong = Number.POSITIVE_INFINITY;
      this.#fork = Number.POSITIVE_INFINITY;
    } else if (end > this.#fork) {
      this.#path++;
      const fork = this.#positions(end, this.#drafted).find((p) => this.#draw(p) === "runner-up");
      this.#fork = fork ?? Number.POSITIVE_INFINITY;
    }
  }

  /** Drafts one more id: the hint for it, if there is room. */
  draft(): HintFrame | undefined {
    const position = this.#drafted;
    if (position - this.#known >= this.#ahead || position >= this.#end - 1) return undefined;
    this.#drafted++;
    const draw = position > this.#wrong ? "wrong" : this.#draw(position);
    if (draw === "wrong") this.#wrong = Math.min(this.#wrong, position);
    if (draw === "runner-up") this.#fork = Math.min(this.#fork, position);
    if (this.#fork > position) return this.#hint(position, [this.#id(position, draw === "right")]);
    const before = this.#positions(this.#fork, position).map((p) => this.#id(p, p < this.#wrong));
    const at = this.#fork;
    const branches = [{ at, ids: [...before, this.#id(position, draw !== "wrong")] }];
    if (draw === "runner-up" && position > at)
      branches.unshift({ at, ids: [...before, this.#id(position, false)] });
    return this.#hint(at, [this.#id(at, false)], branches);
  }

  #hint(at: number, ids: number[], branches?: HintFrame["branches"]): HintFrame {
    const common = { type: "hint" as const, stream: this.#stream, path: this.#path };
    const hint: HintFrame = { ...common, at, ids, source: this.#source };
    return branches ? { ...hint, branches } : hint;
  }

  #draw(position: number): Draw {
    return this.#draws[position - this.#promptTokens]!;
  }

  #id(position: number, right: boolean): number {
    return (right ? scriptedId : wrongId)(this.#first, position);
  }

  #positions(from: number, to: number): number[] {
    return Array.from({ length: Math.max(0, to - from) }, (_, i) => from + i);
  }
}
