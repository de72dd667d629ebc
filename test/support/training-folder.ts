/** Folders for tests of the training service; they are gone after the test file. */
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll } from "vitest";

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
  die_at?: number;
  refuse?: string;
  no_release?: boolean;
  hold?: boolean;
};

/** Writes recipes and an interpreter that runs the fake trainer; both are found again by `openService`. */
export function prepareFolder(recipes: Record<string, FakeRecipe>, folder = temporaryFolder()): string {
  mkdirSync(join(folder, "recipes"), { recursive: true });
  for (const [name, recipe] of Object.entries(recipes)) {
    writeFileSync(join(folder, "recipes", `${name}.json`), JSON.stringify(recipe));
  }
  const python = join(folder, "python");
  writeFileSync(python, `#!/bin/sh\nexec "${process.execPath}" "${TRAINER}" "$@"\n`);
  chmodSync(python, 0o755);
  return folder;
}
