/** The service's configuration: the environment read once, bounded, every bad key named at once. */
import { z } from "zod";
import type { LinkKey } from "../protocol/token.ts";
import { checkVllm, readVllm, type VllmConfig, vllmVariables } from "./engines/vllm/config.ts";
import { integer } from "./integer.ts";

const FORMATS = ["fp32", "int8", "int4", "w8a8"] as const;
/** The widest graph that a target is converted to. */
const MAX_ONNX_SLOTS = 8;
const LOOPBACK = new Set(["127.0.0.1", "::1", "localhost"]);

const linkKeys = z
  .string({ error: "is required: a JSON list of {id, secret}" })
  .transform((text, context): unknown => {
    try {
      return JSON.parse(text);
    } catch {
      context.addIssue({ code: "custom", message: "is not JSON" });
      return z.NEVER;
    }
  })
  .pipe(
    z
      .array(z.object({ id: z.string().min(1), secret: z.string().min(32) }))
      .min(1)
      .max(2)
      .refine(([a, b]) => a?.id !== b?.id, "two keys have the same id"),
  );

const environment = z
  .object({
    VERIFY_HOST: z.string().default("127.0.0.1"),
    VERIFY_PORT: integer(0, 65_535).default(8788),
    /** "1": plain ws beyond loopback, for a proxy in front that ends TLS. */
    VERIFY_ALLOW_PLAIN: z.enum(["0", "1"]).default("0"),
    TARGET_DIR: z.string({ error: "is required: the folder of a converted target" }).min(1),
    ENGINE: z.enum(["onnx", "vllm"]).default("onnx"),
    FORMAT: z.enum(FORMATS).default("w8a8"),
    LINK_KEYS: linkKeys,
    WORKERS: integer(1, 64).default(1),
    SLOTS: integer(1, 1024).default(4),
    THREADS: integer(1, 64).default(1),
    CONTEXT: integer(64, 32_768).default(4096),
    PREFIX_CACHE_MB: integer(0, 1_048_576).default(256),
    QUEUE_LIMIT: integer(0, 4096).default(64),
    QUEUE_TIMEOUT_MS: integer(100, 600_000).default(15_000),
    LEASE_MS: integer(500, 600_000).default(30_000),
    GRACE_MS: integer(0, 600_000).default(20_000),
    MAX_SOCKETS: integer(1, 65_536).default(512),
    PACE_FILE: z.string().min(1).optional(),
    ...vllmVariables,
    LOG_LEVEL: z.enum(["trace", "debug", "info", "warn", "error", "silent"]).default("info"),
  })
  .refine((e) => e.VERIFY_ALLOW_PLAIN === "1" || LOOPBACK.has(e.VERIFY_HOST), {
    path: ["VERIFY_HOST"],
    message:
      "is not loopback, and the link is plain ws: put a TLS proxy in front and set VERIFY_ALLOW_PLAIN=1",
    // Whatever else is wrong: all of it is named at once.
    when: ({ value }) => typeof (value as { VERIFY_HOST?: unknown }).VERIFY_HOST === "string",
  })
  .refine((e) => e.ENGINE !== "onnx" || e.SLOTS <= MAX_ONNX_SLOTS, {
    path: ["SLOTS"],
    message: `must be at most ${MAX_ONNX_SLOTS} with ENGINE=onnx`,
    when: ({ value }) => typeof (value as { SLOTS?: unknown }).SLOTS === "number",
  })
  .refine((e) => e.ENGINE !== "vllm" || e.PACE_FILE === undefined, {
    path: ["PACE_FILE"],
    message: "paces ENGINE=onnx only",
    when: () => true,
  })
  .superRefine(checkVllm);

export type Config = Readonly<{
  host: string;
  port: number;
  engine: "onnx" | "vllm";
  targetFolder: string;
  format: (typeof FORMATS)[number];
  linkKeys: readonly LinkKey[];
  /** Copies of the target, each on a thread of its own with its own slots. */
  workers: number;
  /** Sequences that run at once on one worker. */
  slots: number;
  threads: number;
  context: number;
  /** Keys and values kept of ended sequences, for prompts that begin alike; 0: none. */
  retainedBytes: number;
  queueLimit: number;
  queueTimeoutMs: number;
  leaseMs: number;
  /** How long running completions may go on after SIGTERM. */
  graceMs: number;
  maxSockets: number;
  /** A pace (engines/pace.ts), for benchmarks and tests only. */
  paceFile: string | undefined;
  /** For ENGINE=vllm. */
  vllm: VllmConfig;
  logLevel: string;
}>;

/** Throws one error that names every bad key. Values are not repeated: some are secrets. */
export function readConfig(env: Record<string, string | undefined>): Config {
  const result = environment.safeParse(env);
  if (!result.success) {
    const lines = result.error.issues.map((i) => `  ${i.path.join(".")}: ${i.message}`);
    throw new Error(`verification service: bad configuration\n${lines.join("\n")}`);
  }
  const e = result.data;
  return Object.freeze({
    host: e.VERIFY_HOST,
    port: e.VERIFY_PORT,
    engine: e.ENGINE,
    targetFolder: e.TARGET_DIR,
    format: e.FORMAT,
    linkKeys: e.LINK_KEYS,
    workers: e.WORKERS,
    slots: e.SLOTS,
    threads: e.THREADS,
    context: e.CONTEXT,
    retainedBytes: e.PREFIX_CACHE_MB * 2 ** 20,
    queueLimit: e.QUEUE_LIMIT,
    queueTimeoutMs: e.QUEUE_TIMEOUT_MS,
    leaseMs: e.LEASE_MS,
    graceMs: e.GRACE_MS,
    maxSockets: e.MAX_SOCKETS,
    paceFile: e.PACE_FILE,
    vllm: readVllm(e),
    logLevel: e.LOG_LEVEL,
  });
}
