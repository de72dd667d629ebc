/** Asks the gates about a finished release: the current one is fetched for comparison, then a program judges. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  GATES_VERDICT,
  type GatesEnvironment,
  type GatesRequest,
  gatesVerdictSchema,
} from "../../protocol/gates.ts";
import type { Gate } from "../../protocol/jobs.ts";
import type { TrainingTask } from "../launchers/launcher.ts";
import { runLogged } from "../launchers/process.ts";
import { readDraftFolder } from "../publish/draft-release.ts";
import { withoutSecrets } from "../secrets.ts";

export class GatesError extends Error {
  override name = "GatesError";
}

export type GatesParts = {
  /** The program that judges, run by Node. */
  program: string;
  /** How it reaches a verifier. */
  environment: GatesEnvironment;
  trainer: { project: string; modelsRoot: string; python(): Promise<string> };
  /** Puts the target's current release into a folder; null where there is none. */
  fetchCurrent(target: string, folder: string): Promise<string | null>;
};

/** Throws GatesError when they cannot be asked: that says nothing about the candidate. */
export async function askGates(
  parts: GatesParts,
  task: TrainingTask,
  tell: { log(line: string): void; signal: AbortSignal },
): Promise<Gate[]> {
  const folder = join(task.work, "gates");
  rmSync(folder, { recursive: true, force: true });
  const current = join(folder, "current");
  mkdirSync(current, { recursive: true });
  const { manifest } = await readDraftFolder(task.out);
  const release = await parts.fetchCurrent(manifest.target, current);
  const request: GatesRequest = {
    candidate: task.out,
    current: release === null ? null : { release, folder: current },
    ...{ recipe: task.recipe, work: task.work, folder },
    python: await parts.trainer.python(),
    ...{ trainer: parts.trainer.project, models: parts.trainer.modelsRoot },
  };
  const path = join(folder, "request.json");
  writeFileSync(path, JSON.stringify(request));
  const { code, output } = await runLogged(process.execPath, [parts.program, path], {
    ...tell,
    env: { ...withoutSecrets(process.env), ...parts.environment },
  });
  if (code !== 0) throw new GatesError(`the gates could not be asked: ${lastLine(output)}`);
  return readVerdict(join(folder, GATES_VERDICT));
}

/** What keeps a candidate back, in one line; null where it may go out. */
export function refusal(gates: readonly Gate[]): string | null {
  const failed = gates.filter(({ passed }) => !passed);
  if (failed.length === 0) return null;
  return `not published: ${failed.map(({ gate, message }) => `${gate}: ${message}`).join("; ")}`;
}

function readVerdict(path: string): Gate[] {
  try {
    return gatesVerdictSchema.parse(JSON.parse(readFileSync(path, "utf8")));
  } catch (error) {
    throw new GatesError(
      `the gates left no verdict: ${path}: ${error instanceof Error ? error.message : error}`,
    );
  }
}

/** Node ends an uncaught error's output with its version; the error's own line stands further up. */
function lastLine(output: string): string {
  const lines = output.split("\n").map((line) => line.trim());
  return (
    lines.findLast((line) => /error/i.test(line)) ??
    lines.findLast((line) => line !== "") ??
    "it said nothing"
  );
}
