/** The worker on this machine: workerd through wrangler, its variables and its data in the data folder. */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { chmodSync, existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { z } from "zod";
import { StartError } from "./errors.ts";
import { type DataFolder, ROOT } from "./paths.ts";
import type { Command } from "./processes.ts";
import { twoWorkers } from "./second-worker.ts";

const WRANGLER = join(ROOT, "node_modules/.bin/wrangler");
const WRANGLER_TOML = join(ROOT, "wrangler.toml");
const MIGRATIONS = join(ROOT, "edge/accounts/migrations");

/** Names and values as `edge/config.ts` reads them. */
export type WorkerVariables = Record<string, string>;

/** Brings the local D1 database up to date; costs a wrangler run only when a migration is new. */
export async function applyMigrations(data: DataFolder): Promise<void> {
  const files = readdirSync(MIGRATIONS).filter((file) => file.endsWith(".sql"));
  const hash = createHash("sha256");
  for (const file of files.sort()) hash.update(file).update(readFileSync(join(MIGRATIONS, file)));
  const wanted = hash.digest("hex");
  const stamp = join(data.edge, "migrations.sha256");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === wanted) return;
  const args = ["d1", "migrations", "apply", "DB", "--local", "--persist-to", data.edge];
  try {
    await promisify(execFile)(WRANGLER, args, { cwd: ROOT, env: { ...process.env, ...wranglerEnv(data) } });
  } catch (error) {
    const { stdout = "", stderr = "" } = error as { stdout?: string; stderr?: string };
    throw new StartError(`The worker's database could not be brought up to date:\n${stdout}${stderr}`);
  }
  writeFileSync(stamp, wanted);
}

/**
 * The command that serves the worker; writes its variables to a file that only this user can read. `second`: with the
 * second Worker for canaries.
 */
export function workerCommand(
  data: DataFolder,
  port: number,
  inspectorPort: number,
  variables: WorkerVariables,
  second = false,
): Command {
  const envFile = join(data.edge, "worker.env");
  const lines = Object.entries(variables).map(([name, value]) => `${name}='${value}'`);
  writeFileSync(envFile, `${lines.join("\n")}\n`, { mode: 0o600 });
  chmodSync(envFile, 0o600);
  return {
    name: "worker",
    command: WRANGLER,
    args: [
      "dev",
      "--local",
      ...(second ? twoWorkers(data, variables) : []),
      ...["--ip", "127.0.0.1", "--port", String(port), "--inspector-port", String(inspectorPort)],
      ...["--persist-to", data.edge, "--env-file", envFile],
      ...["--show-interactive-dev-session=false", "--log-level", "log"],
    ],
    env: wranglerEnv(data),
  };
}

/** Wrangler without network, questions or files outside the data folder. */
const wranglerEnv = (data: DataFolder): Record<string, string> => ({
  WRANGLER_SEND_METRICS: "false",
  WRANGLER_HIDE_BANNER: "true",
  WRANGLER_LOG_PATH: join(data.logs, "wrangler"),
  WRANGLER_REGISTRY_PATH: join(data.edge, "registry"),
  CLOUDFLARE_CF_FETCH_ENABLED: "false",
  CI: "1",
  // They record every call that the worker makes, which costs it more than the call.
  X_LOCAL_OBSERVABILITY: "false",
  X_LOCAL_EXPLORER: "false",
  // A proxy of the machine's is not for the loopback interface.
  NO_PROXY: "127.0.0.1,localhost",
});

const bucketSchema = z.object({
  endpointPath: z.literal("/cdn-cgi/local/r2/s3"),
  accessKeyId: z.string(),
  secretAccessKey: z.string(),
  bucket: z.string(),
});
export type LocalBucket = z.infer<typeof bucketSchema>;

/** The S3 side of the local bucket, as wrangler.toml declares it. */
export function readLocalBucket(toml = readFileSync(WRANGLER_TOML, "utf8")): LocalBucket {
  const value = (key: string) => new RegExp(`^${key}\\s*=\\s*"([^"]*)"`, "m").exec(toml)?.[1];
  return bucketSchema.parse({
    endpointPath: "/cdn-cgi/local/r2/s3",
    accessKeyId: value("accessKeyId"),
    secretAccessKey: value("secretAccessKey"),
    bucket: value("bucket_name"),
  });
}

export const readWranglerToml = (): string => readFileSync(WRANGLER_TOML, "utf8");
