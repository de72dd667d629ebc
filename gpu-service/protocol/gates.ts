/**
 * What the training service asks of the gates, and in which environment: a program of its own, so that it may use the
 * edge's kernel. It is given the path of a file with the request, and leaves its verdict beside it.
 */
import { z } from "zod";
import { gateSchema } from "./jobs.ts";
import { releaseId } from "./manifest.ts";

const path = z.string().min(1);

export const gatesRequestSchema = z.strictObject({
  /** Folder of stage `export`, `manifest.unsigned.json` in it. */
  candidate: path,
  /** The release that it would replace; null where the target has none. */
  current: z.strictObject({ release: releaseId, folder: path }).nullable(),
  recipe: path,
  /** Where the recipe's stages ran. */
  work: path,
  /** Interpreter and folder of the trainer, and the folders in which it finds targets, separated by ":". */
  python: path,
  trainer: path,
  models: path,
  /** For what the gates write; the verdict is `gates.json` in it. */
  folder: path,
});
export type GatesRequest = z.infer<typeof gatesRequestSchema>;

export const GATES_VERDICT = "gates.json";
export const gatesVerdictSchema = z.array(gateSchema).min(1);

/** How the gates reach a verifier of the target. */
export const gatesEnvironmentSchema = z.object({
  VERIFIER_URL: z.url(),
  LINK_KEY_ID: z.string().min(1),
  LINK_SECRET: z.string().min(1),
});
export type GatesEnvironment = z.infer<typeof gatesEnvironmentSchema>;
