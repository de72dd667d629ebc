/**
 * What a recipe may say, checked before anything is stored or run. A recipe is data: it names stages that there are,
 * dials that they have, and paths that stay inside of the job's folders.
 */
import type { Dial, Recipe } from "../../protocol/recipe.ts";
import { sourceProblem } from "./corpus-sources.ts";
import dials from "./stage-dials.json" with { type: "json" };

export class RecipeError extends Error {
  override name = "RecipeError";
}

export type DialKind = {
  kind: string;
  /** What it may be, separated by ", ". */
  choices?: string;
  /** Takes a list, too. */
  many?: boolean;
  required?: boolean;
};
/** By stage and dial; made from the stages' own commands by test/training/stage_dials.py. */
export const STAGE_DIALS: ReadonlyMap<string, ReadonlyMap<string, DialKind>> = new Map(
  Object.entries(dials).map(([stage, of]) => [stage, new Map(Object.entries<DialKind>(of))]),
);

const PLACES = ["work", "out", "lineage", "target", "base", "traffic", "parent"];

/** Throws RecipeError. `corpora`: folders in which sources of text may lie. */
export function checkRecipe(recipe: Recipe, corpora: readonly string[]): void {
  for (const [index, { stage, ...given }] of recipe.stages.entries()) {
    const where = `recipe "${recipe.name}": stages.${index} (${stage})`;
    const known = STAGE_DIALS.get(stage);
    if (!known) {
      throw new RecipeError(`${where}: no such stage; there are ${[...STAGE_DIALS.keys()].join(", ")}`);
    }
    for (const [name, value] of Object.entries(given)) {
      const problem = dialProblem(known, name, value, corpora);
      if (problem !== null) throw new RecipeError(`${where}: ${name}: ${problem}`);
    }
    for (const [name, { required }] of known) {
      if (required && !(name in given)) throw new RecipeError(`${where}: ${name} is missing`);
    }
  }
}

function dialProblem(
  known: ReadonlyMap<string, DialKind>,
  name: string,
  value: Dial,
  corpora: readonly string[],
): string | null {
  const dial = known.get(name);
  if (!dial) return `no such dial; there are ${[...known.keys()].join(", ")}`;
  if (Array.isArray(value) && !dial.many) return "is one value, not a list";
  for (const one of Array.isArray(value) ? value : [value]) {
    const problem =
      valueProblem(dial, one) ?? (name === "source" ? sourceProblem(String(one), corpora) : null);
    if (problem !== null) return problem;
  }
  return null;
}

function valueProblem({ kind, choices }: DialKind, value: string | number): string | null {
  if (choices) return choices.split(", ").includes(String(value)) ? null : `is not one of ${choices}`;
  if (kind === "int") return Number.isSafeInteger(value) ? null : "is not a whole number";
  if (kind === "number") return typeof value === "number" ? null : "is not a number";
  if (String(value).startsWith("-")) return "begins like a flag";
  return kind === "path" ? pathProblem(String(value)) : null;
}

/** Relative to the job's work folder, or `$place/rest`; never out of either. */
function pathProblem(path: string): string | null {
  const [first = "", ...rest] = path.split("/");
  if (first.startsWith("$") && !PLACES.includes(first.slice(1))) {
    return `there is no place ${first} (known: ${PLACES.map((place) => `$${place}`).join(", ")})`;
  }
  if (first === "" || [first, ...rest].includes("..") || /[\\\0]/.test(path)) {
    return `the path "${path}" leaves the job's folders`;
  }
  return null;
}
