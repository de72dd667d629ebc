/** Where things lie: the repository's root, and the data folder that a start fills and `--fresh` empties. */
import { accessSync, constants, mkdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { StartError } from "./errors.ts";

export const ROOT = resolve(import.meta.dirname, "../..");
/** The Node 22 that is one of the project's packages. */
export const NODE = join(ROOT, "node_modules/.bin/node");

export type DataFolder = {
  root: string;
  /** Converted targets: kept by `--fresh`. */
  models: string;
  /** What wrangler keeps of R2, D1 and the Durable Objects. */
  edge: string;
  /** Jobs and their results. */
  training: string;
  /** Secrets; readable by this user alone. */
  keys: string;
  logs: string;
  /** The trainer's Python environment: made at the first job, kept by `--fresh`. */
  trainerVenv: string;
  /** vLLM's, for `ENGINE=vllm` on a CPU: made when it is first asked for, kept by `--fresh`. */
  vllmVenv: string;
  /** Downloads: kept by `--fresh`. */
  cache: string;
};

/**
 * The folder at `root`, or that of OUTRIDER_DATA, or `.outrider` in the repository; made where it is missing.
 * Throws StartError where it cannot be: a read-only place, a full disk.
 */
export function openDataFolder(root = process.env.OUTRIDER_DATA ?? join(ROOT, ".outrider")): DataFolder {
  const base = resolve(root);
  const folder = {
    root: base,
    models: join(base, "models"),
    edge: join(base, "edge"),
    training: join(base, "training"),
    keys: join(base, "keys"),
    logs: join(base, "logs"),
    trainerVenv: join(base, "venv-train"),
    vllmVenv: join(base, "venv-vllm"),
    cache: join(base, "cache"),
  };
  const { trainerVenv, vllmVenv, ...made } = folder;
  try {
    for (const path of Object.values(made)) mkdirSync(path, { recursive: true, mode: 0o700 });
    accessSync(base, constants.W_OK);
  } catch (error) {
    throw new StartError(
      `The data folder ${base} cannot be written: ${(error as Error).message}. ` +
        "OUTRIDER_DATA=/some/folder names another.",
    );
  }
  return { ...made, trainerVenv, vllmVenv };
}
