/** A recipe with some dials set otherwise. */
import type { Overrides } from "../../protocol/jobs.ts";
import type { Recipe } from "../../protocol/recipe.ts";
import { RecipeError } from "./recipe-checks.ts";

/**
 * `stage` names the only stage of that name, `stage:2` the second. Throws RecipeError where that is none or several;
 * whether the stage has such a dial is for `checkRecipe` to say.
 */
export function withOverrides(recipe: Recipe, overrides: Overrides | null): Recipe {
  const stages = recipe.stages.map((stage) => ({ ...stage }));
  for (const [key, dials] of Object.entries(overrides?.stages ?? {})) {
    const stage = find(stages, key);
    if (typeof stage === "string")
      throw new RecipeError(`overrides.stages.${key}: recipe "${recipe.name}" ${stage}`);
    if ("stage" in dials) throw new RecipeError(`overrides.stages.${key}: stage: is not a dial`);
    Object.assign(stage, dials);
  }
  return { ...recipe, seed: overrides?.seed ?? recipe.seed, stages };
}

/** A text says why there is none. */
function find(stages: Recipe["stages"], key: string): Recipe["stages"][number] | string {
  const [name = "", number] = key.split(":");
  const named = stages.filter(({ stage }) => stage === name);
  if (named.length === 0)
    return `has no stage ${name}; it has ${stages.map(({ stage }) => stage).join(", ")}`;
  if (number === undefined && named.length > 1) {
    return `has ${named.length} stages ${name}: say which, as ${name}:1 to ${name}:${named.length}`;
  }
  return named[Number(number ?? 1) - 1] ?? `has ${named.length} stages ${name}, not ${number}`;
}
