import { mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { type Overrides, overridesSchema } from "../../gpu-service/protocol/jobs.ts";
import { type Dial, type Recipe, recipeSchema } from "../../gpu-service/protocol/recipe.ts";
import { withOverrides } from "../../gpu-service/training/jobs/overrides.ts";
import { checkRecipe, RecipeError } from "../../gpu-service/training/jobs/recipe-checks.ts";
import { Recipes } from "../../gpu-service/training/jobs/recipes.ts";
import { ROOT } from "../../infra/start/paths.ts";
import { recipeOf } from "../support/training.ts";
import { temporaryFolder } from "../support/training-folder.ts";

const SHIPPED = new Recipes(join(ROOT, "gpu-service/training/recipes"));

test.each(SHIPPED.names)("shipped recipe %s is allowed", (name) => {
  expect(SHIPPED.read(name).name).toBe(name);
});

const withDials = (dials: Record<string, Dial>): Recipe => {
  const recipe = recipeOf("r");
  return { ...recipe, stages: [{ ...recipe.stages[0]!, ...dials }] };
};

test.each<[Record<string, Dial>, string]>([
  [{ stage: "shell" }, "no such stage; there are corpus, tokenize"],
  [{ command: "rm" }, "command: no such dial; there are texts"],
  [{ steps: "many" }, "steps: is not a whole number"],
  [{ steps: 1.5 }, "steps: is not a whole number"],
  [{ steps: [1, 2] }, "steps: is one value, not a list"],
  [{ lr: "fast" }, "lr: is not a number"],
  [{ device: "tpu" }, "device: is not one of auto, cpu, cuda"],
  [{ texts: "/etc" }, 'texts: the path "/etc" leaves the job\'s folders'],
  [{ texts: "a/../../b" }, 'texts: the path "a/../../b" leaves the job\'s folders'],
  [{ texts: ["a", "../b"] }, 'texts: the path "../b" leaves the job\'s folders'],
  [{ draft: "$target/../../secrets" }, 'draft: the path "$target/../../secrets" leaves the job\'s folders'],
  [{ draft: "$home/x" }, "draft: there is no place $home (known: $work, $out"],
  [{ draft: "--events" }, "draft: begins like a flag"],
])("a recipe's dials are checked: %j", (dials, problem) => {
  expect(() => checkRecipe(withDials(dials), [])).toThrow(RecipeError);
  expect(() => checkRecipe(withDials(dials), [])).toThrow(problem);
});

test("a dial that a stage needs is missed", () => {
  const recipe = { ...recipeOf("r"), stages: [{ stage: "tokenize", out: "x" }] };
  expect(() => checkRecipe(recipe, [])).toThrow('recipe "r": stages.0 (tokenize): corpus is missing');
});

test.each([
  [{ target: "../models/x" }, "target"],
  [{ base: "/etc" }, "base"],
  [{ hook: "import os" }, ""],
  [{ stages: [] }, "stages"],
  [{ stages: [{ stage: "corpus", source: { run: "x" } }] }, "stages.0.source"],
])("a recipe is data of a known shape: %j", (wrong, path) => {
  const parsed = recipeSchema.safeParse({ ...recipeOf("r"), ...wrong });
  expect(parsed.error?.issues[0]?.path.join(".")).toBe(path);
});

test("sources of text are what is installed, the hub, and what lies in the folders that are open", () => {
  const open = join(temporaryFolder(), "corpora");
  const closed = temporaryFolder();
  mkdirSync(join(open, "mine"), { recursive: true });
  symlinkSync(closed, join(open, "way-out"));
  const tryOut = (source: Dial, corpora = [open]) => {
    const stage = { stage: "corpus", out: "corpus", source };
    checkRecipe({ ...recipeOf("r"), stages: [stage] }, corpora);
  };
  const allowed = [
    ...[
      "stdlib",
      "stdlib?megabytes=2",
      "package:rich",
      "hub:bigcode/starcoderdata?data_dir=python&text=content",
    ],
    ...["hub:a/b?files=data/*.parquet", `folder:${open}/mine`, `folder:${open}?licence=MIT`],
  ];
  for (const source of allowed) expect(() => tryOut(source), source).not.toThrow();
  const refused: [Dial, RegExp][] = [
    ["/etc", /"\/etc" is none of stdlib/],
    ["folder:/etc", /\/etc is not in a folder for corpora/],
    [`folder:${closed}`, /is not in a folder for corpora/],
    [`folder:${open}/way-out`, /is not in a folder for corpora/],
    [`archive:${open}/../x.tar`, /is not in a folder for corpora/],
    ["folder:relative", /is not in a folder for corpora/],
    ["hub:json?files=/etc/passwd", /"json" is not the name of a dataset/],
    ["hub:a/b?files=https://10.0.0.1/x", /files=https:\/\/10.0.0.1\/x is not a path inside of the dataset/],
    ["hub:a/b?files=x&files=../../y", /files=..\/..\/y is not a path inside/],
    ["hub:../../a?text=x", /is not the name of a dataset/],
    ["https://example.org/x.zip", /is none of stdlib/],
    [["stdlib", "folder:/etc"], /is not in a folder/],
  ];
  for (const [source, problem] of refused) expect(() => tryOut(source), String(source)).toThrow(problem);
  expect(() => tryOut(`folder:${open}`, [])).toThrow("(none: TRAINING_CORPORA is not set)");
});

test("overrides set dials of the stage they name, and of no other", () => {
  const tiny = SHIPPED.read("tiny");
  const overrides = overridesSchema.parse({
    seed: 9,
    stages: { distil: { steps: 3 }, "generate:2": { new: 8 }, corpus: { "near-duplicates": 0.5 } },
  });
  const changed = withOverrides(tiny, overrides);
  expect(changed.seed).toBe(9);
  const differing = changed.stages.filter(
    (stage, i) => JSON.stringify(stage) !== JSON.stringify(tiny.stages[i]),
  );
  expect(differing).toMatchObject([
    { stage: "corpus", "near-duplicates": 0.5, megabytes: 1 },
    { stage: "distil", steps: 3, warmup: 10 },
    { stage: "generate", in: "prompts/held.jsonl", new: 8 },
  ]);
  expect(withOverrides(tiny, null)).toEqual(tiny);
});

test.each<[Overrides["stages"], string]>([
  [{ grow: { model: "x" } }, 'overrides.stages.grow: recipe "tiny" has no stage grow; it has corpus'],
  [{ generate: { new: 8 } }, "has 2 stages generate: say which, as generate:1 to generate:2"],
  [{ "generate:3": { new: 8 } }, "has 2 stages generate, not 3"],
  [{ distil: { stage: "corpus" } }, "overrides.stages.distil: stage: is not a dial"],
])("overrides that fit no stage are refused: %j", (stages, problem) => {
  expect(() => withOverrides(SHIPPED.read("tiny"), { stages })).toThrow(problem);
});
