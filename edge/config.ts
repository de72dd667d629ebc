/** The worker's configuration: read once from its bindings, every bad key named at once. */
import { z } from "zod";
import { trustedKeySchema } from "../gpu-service/protocol/manifest.ts";
import { fromBase64Url } from "../gpu-service/protocol/token.ts";
import type { QuotaLedger } from "./accounts/quota.ts";
import type { LinkObjects } from "./link/shared-link.ts";
import type { ChannelStub } from "./releases/channel-client.ts";
import type { SecondWorker } from "./releases/second-worker.ts";
import type { Instances } from "./retraining/schedule.ts";
import { settingsSchema } from "./retraining/settings.ts";
import type { StatisticsHandle } from "./statistics/routes.ts";
import type { TrafficQueue } from "./traffic/capture.ts";

/** What the runtime hands the worker. Text variables are checked by `readConfig`. */
export type Env = {
  RELEASES: R2Bucket;
  DB: D1Database;
  CHANNELS: { getByName(target: string): ChannelStub };
  LINKS: LinkObjects;
  QUOTAS: { getByName(key: string): QuotaLedger };
  STATISTICS: { getByName(target: string): StatisticsHandle };
  TRAFFIC: TrafficQueue;
  /** The second Worker, where there is one. */
  CANARY?: SecondWorker;
  RETRAINING_CHAINS: Instances;
  /** Absent: requests are not counted. */
  REQUESTS?: RateLimit;
  [variable: string]: unknown;
};

const json = z.string().transform((text, context) => {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    context.addIssue({ code: "custom", message: "is not JSON" });
    return z.NEVER;
  }
});

const LOOPBACK = new Set(["127.0.0.1", "[::1]", "localhost"]);
const isPlainBeyondLoopback = (address: string): boolean => {
  const url = URL.parse(address);
  return url?.protocol === "ws:" && !LOOPBACK.has(url.hostname);
};

const verifierUrls = z
  .string()
  .transform((list) => list.split(",").map((url) => url.trim()))
  .pipe(
    z
      .array(z.url({ protocol: /^wss?$/, error: "must be ws:// or wss:// addresses" }))
      .min(1)
      .max(64),
  );

const trustedKeys = z
  .array(trustedKeySchema)
  .max(16)
  .refine((keys) => keys.every(({ public_key }) => fromBase64Url(public_key)?.length === 32), {
    error: "every public_key must be a raw Ed25519 key of 32 bytes in base64url",
  })
  .refine((keys) => new Set(keys.map(({ id }) => id)).size === keys.length, {
    error: "two keys have the same id",
  });

const isOrigin = (text: string): boolean => text === "*" || URL.parse(text)?.origin === text;

const origins = z
  .string()
  .transform((list) => list.split(",").map((origin) => origin.trim()))
  .refine((list) => list.every(isOrigin), { error: 'must be "*" or origins such as https://example.org' });

const flag = z
  .enum(["0", "1"])
  .default("0")
  .transform((value) => value === "1");

const variables = z.object({
  /** The target model that this installation serves. */
  TARGET: z.string().min(1).max(128),
  /** Verifier replicas, tried in turn. */
  VERIFIER_URLS: verifierUrls,
  LINK_KEY_ID: z.string().min(1),
  LINK_SECRET: z.string().min(32, "must have at least 32 characters"),
  /** The way to a verifier: over a link of the request's own, a shared one, or whichever is better. */
  LINK: z.enum(["auto", "own", "shared"]).default("auto"),
  /** "0": nothing that was confirmed is kept as drafts for later requests. */
  MEMORY: z
    .enum(["0", "1"])
    .default("1")
    .transform((value) => value === "1"),
  /** Public keys that releases and channel records may be signed with. */
  TRUSTED_KEYS: json.pipe(trustedKeys),
  /** Opens /admin; without it there is no /admin. */
  ADMIN_SECRET: z.string().min(16, "must have at least 16 characters").optional(),
  /** Web pages of these origins may use /v1; "*": of all. */
  CORS_ORIGINS: origins.optional(),
  TRAINING_URL: z.url({ protocol: /^https?$/ }).optional(),
  TRAINING_TOKEN: z.string().min(1).optional(),
  RETRAIN_RECIPE: z.string().min(1).optional(),
  /** Dials of the chain that retrains; `edge/retraining/settings.ts` has them. */
  RETRAINING: json.pipe(settingsSchema).prefault("{}"),
  /** Captured traffic that is older is deleted. */
  TRAFFIC_RETENTION_DAYS: z.coerce.number().int().min(1).default(30),
  /** Bytes, compressed, of one day's captured traffic at most. */
  TRAFFIC_DAY_BYTES: z.coerce.number().int().min(0).default(1e9),
  /** "canary": the second Worker, which serves a canary's share where the first has no room for it. */
  SERVES: z.enum(["channel", "canary"]).default("channel"),
  /** Most linear memory for drafts: an isolate has 128 MB for everything. */
  DRAFT_MEMORY_BYTES: z.coerce.number().int().min(0).default(88e6),
  /** Tests only: lets a request ask for random or adversarial hints. */
  TEST_HINTS: flag,
  /** "1": plain ws to verifiers beyond loopback too, on a network that nobody else listens to. */
  VERIFIER_ALLOW_PLAIN: flag,
});
/** Of all variables and secrets that the worker reads. */
export const VARIABLE_NAMES: readonly string[] = Object.keys(variables.shape);

const configSchema = variables
  .refine((env) => env.VERIFIER_ALLOW_PLAIN || !env.VERIFIER_URLS.some(isPlainBeyondLoopback), {
    path: ["VERIFIER_URLS"],
    error: "prompts would travel in the clear: use wss:// beyond loopback, or set VERIFIER_ALLOW_PLAIN=1",
    // Whatever else is wrong: all of it is named at once.
    when: ({ value }) => Array.isArray((value as { VERIFIER_URLS?: unknown }).VERIFIER_URLS),
  })
  .transform((env) => ({
    target: env.TARGET,
    verifierUrls: env.VERIFIER_URLS,
    linkKey: { id: env.LINK_KEY_ID, secret: env.LINK_SECRET },
    link: env.LINK,
    memory: env.MEMORY,
    trustedKeys: env.TRUSTED_KEYS,
    adminSecret: env.ADMIN_SECRET,
    corsOrigins: env.CORS_ORIGINS ?? [],
    training: { url: env.TRAINING_URL, token: env.TRAINING_TOKEN, recipe: env.RETRAIN_RECIPE },
    retraining: env.RETRAINING,
    serves: env.SERVES,
    draftMemoryBytes: env.DRAFT_MEMORY_BYTES,
    traffic: { retentionDays: env.TRAFFIC_RETENTION_DAYS, dayBytes: env.TRAFFIC_DAY_BYTES },
    testHints: env.TEST_HINTS,
  }));
export type Config = Readonly<z.infer<typeof configSchema>>;

/** Throws one Error that names every bad key. */
export function readConfig(env: Readonly<Record<string, unknown>>): Config {
  const result = configSchema.safeParse(env);
  if (result.success) return Object.freeze(result.data);
  const lines = result.error.issues.map(
    (issue) => `${String(issue.path[0] ?? "(environment)")}: ${issue.message}`,
  );
  throw new Error(`the worker's configuration is wrong: ${[...new Set(lines)].join("; ")}`);
}
