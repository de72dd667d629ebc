/** The training service's configuration: read once from the environment, every bad key named at once. */
import { delimiter } from "node:path";
import { z } from "zod";
import { gatesEnvironmentSchema } from "../protocol/gates.ts";

const MIN_TOKEN_BYTES = 32;
const LOOPBACK = new Set(["127.0.0.1", "::1", "localhost"]);

const bucketKeys = {
  S3_ENDPOINT: z.url(),
  S3_ACCESS_KEY_ID: z.string().min(1),
  S3_SECRET_ACCESS_KEY: z.string().min(1),
  S3_BUCKET: z.string().min(1),
};
const channelKeys = { EDGE_URL: z.url(), ADMIN_SECRET: z.string().min(16) };

/** What publishing needs; also the whole configuration of the release commands. */
export const publishingSchema = z.object({ ...bucketKeys, ...channelKeys, KEYS_DIR: z.string().min(1) });
export type PublishingConfig = z.infer<typeof publishingSchema>;

/** What a job's release must pass before it is published. */
const gatesSchema = gatesEnvironmentSchema.extend({
  /** The program that judges a candidate. */
  GATES_PROGRAM: z.string().min(1),
});
export type GatesConfig = z.infer<typeof gatesSchema>;

const serviceSchema = z.object({
  TRAINING_HOST: z.string().default("127.0.0.1"),
  TRAINING_PORT: z.coerce.number().int().min(0).max(65_535).default(8789),
  /** Jobs, their work and the trainer's Python environment. */
  TRAINING_DATA: z.string().min(1),
  TRAINING_TOKEN: z.string().optional(),
  /** Folder of target folders, for the trainer. */
  MODELS_ROOT: z.string().min(1),
  /** Folder of recipes; those that ship with the service when absent. */
  TRAINING_RECIPES: z.string().min(1).optional(),
  /** Folders, separated by ":", in which recipes may name sources of text. */
  TRAINING_CORPORA: z
    .string()
    .default("")
    .transform((text) => text.split(delimiter).filter((folder) => folder !== "")),
  /** Folder of the trainer's Python environment; beside TRAINING_DATA when absent. */
  TRAINING_VENV: z.string().min(1).optional(),
  /** Where trainers run: as processes here, or as jobs of a Ray cluster. */
  TRAINING_LAUNCHER: z.enum(["local", "ray"]).default("local"),
  /** Of the cluster: its dashboard, the token that it asks for, the interpreter on its nodes. */
  RAY_ADDRESS: z.url().default("http://127.0.0.1:8265"),
  RAY_AUTH_TOKEN: z.string().min(1).optional(),
  RAY_PYTHON: z.string().min(1).default("python3"),
  /** Processes of a training there, and the GPUs of each. */
  RAY_WORKERS: z.coerce.number().int().min(1).max(4_096).default(1),
  RAY_GPUS: z.coerce.number().int().min(0).max(64).default(0),
  OUTRIDER_PYTHON: z.string().min(1).optional(),
  OUTRIDER_TORCH: z.enum(["cpu", "gpu"]).optional(),
  OUTRIDER_TORCH_INDEX_URL: z.string().min(1).optional(),
  LOG_LEVEL: z.enum(["trace", "debug", "info", "warn", "error", "silent"]).default("info"),
});

/** Publishing and its gates are configured together, or neither. */
export type TrainingConfig = z.infer<typeof serviceSchema> & {
  publishing: (PublishingConfig & GatesConfig) | null;
};
export type Parsed<T> = { ok: true; value: T } | { ok: false; message: string };

type Env = Record<string, string | undefined>;

export function parseTrainingConfig(env: Env): Parsed<TrainingConfig> {
  const given = withoutEmpty(env);
  const service = serviceSchema.safeParse(given);
  const wantsPublishing = Object.keys({ ...bucketKeys, ...channelKeys }).some(
    (key) => given[key] !== undefined,
  );
  const publishing = wantsPublishing ? publishingSchema.extend(gatesSchema.shape).safeParse(given) : null;
  const problems = [...issuesOf(service), ...issuesOf(publishing)];
  if (service.success) problems.push(...tokenProblems(service.data));
  if (problems.length || !service.success) return refuse("training service", problems);
  return { ok: true, value: Object.freeze({ ...service.data, publishing: publishing?.data ?? null }) };
}

export function parsePublishingConfig(env: Env): Parsed<PublishingConfig> {
  const result = publishingSchema.safeParse(withoutEmpty(env));
  return result.success ? { ok: true, value: result.data } : refuse("releases", issuesOf(result));
}

export const isLoopback = (host: string): boolean => LOOPBACK.has(host);

function tokenProblems(config: z.infer<typeof serviceSchema>): string[] {
  const bytes = Buffer.byteLength(config.TRAINING_TOKEN ?? "");
  if (bytes >= MIN_TOKEN_BYTES || (bytes === 0 && isLoopback(config.TRAINING_HOST))) return [];
  if (bytes === 0) {
    return [
      `TRAINING_TOKEN: needed to listen on ${config.TRAINING_HOST}; without one only loopback is allowed`,
    ];
  }
  return [`TRAINING_TOKEN: has ${bytes} bytes, needs at least ${MIN_TOKEN_BYTES}`];
}

const withoutEmpty = (env: Env): Env =>
  Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ""));

const issuesOf = (result: z.ZodSafeParseResult<unknown> | null): string[] =>
  result?.success === false ? result.error.issues.map((i) => `${i.path.join(".")}: ${i.message}`) : [];

const refuse = (what: string, problems: string[]): { ok: false; message: string } => ({
  ok: false,
  message: `${what}: bad configuration\n${problems.map((p) => `  ${p}`).join("\n")}`,
});
