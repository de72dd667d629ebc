/** Folders for tests of the training service; they are gone after the test file. */
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll } from "vitest";
import { recipeOf } from "./training.ts";

const TRAINER = join(import.meta.dirname, "fake-trainer.mjs");
const made: string[] = [];
afterAll(() => {
  for (const folder of made.splice(0)) rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
});

export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "outrider-training-"));
  made.push(folder);
  return folder;
}

export type FakeRecipe = {
  steps: number;
  step_ms?: number;
  die_at?: number[];
  die_before?: number;
  refuse?: string;
  no_release?: boolean;
  hold?: boolean;
};

/**
 * Writes recipes, how the fake trainer is to behave at each, and an interpreter that runs it; all are found again by
 * `openService`.
 */
export function prepareFolder(recipes: Record<string, FakeRecipe>, folder = temporaryFolder()): string {
  for (const name of ["recipes", "behaviour"]) mkdirSync(join(folder, name), { recursive: true });
  for (const [name, behaviour] of Object.entries(recipes)) {
    writeFileSync(join(folder, "recipes", `${name}.json`), JSON.stringify(recipeOf(name)));
    writeFileSync(join(folder, "behaviour", `${name}.json`), JSON.stringify(behaviour));
  }
  const python = join(folder, "python");
  writeFileSync(python, `#!/bin/sh\nexec "${process.execPath}" "${TRAINER}" "${folder}/behaviour" "$@"\n`);
  chmodSync(python, 0o755);
  return folder;
}
