/** The recipes of a folder: one JSON file each, asked for by name. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type Recipe, recipeName, recipeSchema } from "../../protocol/recipe.ts";
import { checkRecipe, RecipeError } from "./recipe-checks.ts";

export class Recipes {
  readonly #folder: string;
  readonly #corpora: readonly string[];

  /** `corpora`: folders in which recipes may name sources of text. */
  constructor(folder: string, corpora: readonly string[] = []) {
    this.#folder = folder;
    this.#corpora = corpora;
  }

  get names(): string[] {
    const names = readdirSync(this.#folder).flatMap((file) =>
      file.endsWith(".json") ? [file.slice(0, -".json".length)] : [],
    );
    return names.filter((name) => recipeName.safeParse(name).success).sort();
  }

  /** Checked. Throws RecipeError that says what is wrong with it, or which there are. */
  read(name: string): Recipe {
    const { names } = this;
    if (!names.includes(name)) {
      throw new RecipeError(`recipe "${name}": unknown; there are ${names.join(", ")}`);
    }
    return this.check(parse(join(this.#folder, `${name}.json`)));
  }

  check(recipe: Recipe): Recipe {
    checkRecipe(recipe, this.#corpora);
    return recipe;
  }
}

function parse(path: string): Recipe {
  let json: unknown;
  try {
    json = JSON.parse(readFileSync(path, "utf8"));
  } catch (error) {
    throw new RecipeError(`recipe ${path}: ${error instanceof Error ? error.message : error}`);
  }
  const parsed = recipeSchema.safeParse(json);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new RecipeError(`recipe ${path}: ${issue?.path.join(".")}: ${issue?.message}`);
}
