/** A job that takes seconds: a release's draft, taught for a few steps that change next to nothing, and exported again. */
import type { NewJob } from "../../gpu-service/protocol/jobs.ts";
import type { Recipe } from "../../gpu-service/protocol/recipe.ts";

/** For the tiny target. Every stage on the way to a release is there, so the gates open. `lr`: of the few steps. */
export function sameAgainRecipe({ name = "same-again", lr = 1e-6, seed = 1 } = {}): Recipe {
  const target = "$target";
  const distil = { steps: 12, warmup: 1, tokens: 512, lr, "embedding-bits": 8, "checkpoint-s": 0.1 };
  return {
    ...{ name, target: "tiny", seed },
    stages: [
      { stage: "unpack", release: "$parent", target, out: "parent" },
      { stage: "prompts", target, code: 24, chat: 8, out: "prompts/train.jsonl" },
      { stage: "generate", in: "prompts/train.jsonl", target, out: "texts", batch: 32, new: 24, top: 16 },
      { stage: "distil", texts: "texts", target, draft: "parent", out: "draft", ...distil },
      { stage: "prompts", target, held: 4, out: "prompts/held.jsonl" },
      { stage: "generate", in: "prompts/held.jsonl", target, out: "held", batch: 16, new: 24, top: 16 },
      { stage: "evaluate", draft: "draft", held: "held", "embedding-bits": 8, out: "evaluation" },
      {
        ...{ stage: "export", draft: "draft", target, "target-id": "tiny", acceptance: "evaluation" },
        ...{ lineage: "$lineage", "embedding-bits": 8, out: "$out" },
      },
    ],
  };
}

export const sameAgain = (parent: string, release: string): NewJob & { recipe: Recipe } => ({
  ...{ parent, release, recipe: sameAgainRecipe() },
});
