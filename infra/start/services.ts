/** How the two services on Node are started: commands with their environment, as each service's `config.ts` reads it. */
import { delimiter, join } from "node:path";
import type { GatesConfig, PublishingConfig } from "../../gpu-service/training/config.ts";
import { readLocalBucket } from "./edge.ts";
import { type DataFolder, NODE, ROOT } from "./paths.ts";
import type { Ports } from "./ports.ts";
import type { Command } from "./processes.ts";
import type { Secrets } from "./secrets.ts";
import type { PreparedTarget } from "./target.ts";

export const verifierCommand = (target: PreparedTarget, ports: Ports, secrets: Secrets): Command => ({
  name: "verifier",
  ...program("gpu-service/verify/main.ts"),
  env: {
    VERIFY_PORT: String(ports.verifier),
    VERIFY_HOST: "127.0.0.1",
    TARGET_DIR: target.folder,
    FORMAT: target.format,
    GRACE_MS: "1000",
    LINK_KEYS: JSON.stringify([secrets.link]),
  },
});

export const trainingCommand = (
  data: DataFolder,
  ports: Ports,
  secrets: Secrets,
  publishing: PublishingConfig,
): Command => ({
  name: "training",
  ...program("gpu-service/training/main.ts"),
  env: {
    TRAINING_PORT: String(ports.training),
    TRAINING_HOST: "127.0.0.1",
    TRAINING_DATA: data.training,
    TRAINING_TOKEN: secrets.training,
    TRAINING_VENV: data.trainerVenv,
    // What ships in the repository as a checkpoint is found there.
    MODELS_ROOT: [data.models, join(ROOT, "infra/models")].join(delimiter),
    ...publishing,
    ...gatesVariables(`ws://127.0.0.1:${ports.verifier}`, secrets),
  },
});

/** The gates before publishing, and how they reach a verifier. */
export const gatesVariables = (verifierUrl: string, { link }: Secrets): GatesConfig => ({
  GATES_PROGRAM: join(ROOT, "infra/gates/main.ts"),
  VERIFIER_URL: verifierUrl,
  LINK_KEY_ID: link.id,
  LINK_SECRET: link.secret,
});

const program = (path: string): Pick<Command, "command" | "args"> => ({
  command: NODE,
  args: ["--disable-warning=ExperimentalWarning", path],
});

export const pin = (command: Command): Command => ({
  ...command,
  command: "taskset",
  args: ["-c", command.name === "verifier" ? "0" : "1", command.command, ...command.args],
});

/** How the training service reaches the worker's bucket and channel; it signs what it puts there. */
export function publishingVariables(data: DataFolder, address: string, secrets: Secrets): PublishingConfig {
  const bucket = readLocalBucket();
  return {
    KEYS_DIR: data.keys,
    S3_ENDPOINT: `${address}${bucket.endpointPath}`,
    S3_ACCESS_KEY_ID: bucket.accessKeyId,
    S3_SECRET_ACCESS_KEY: bucket.secretAccessKey,
    S3_BUCKET: bucket.bucket,
    EDGE_URL: address,
    ADMIN_SECRET: secrets.admin,
  };
}
