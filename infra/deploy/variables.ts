/** What the worker and the GPU box of a deployment are configured with: the same secrets on both sides. */
import type { TrustedKey } from "../../gpu-service/protocol/manifest.ts";
import type { Secrets } from "../start/secrets.ts";
import type { DeploySettings } from "./settings.ts";

export type Variables = Record<string, string>;

/** Plain variables, which anyone with access to the account may read. */
export function workerVariables(
  settings: DeploySettings,
  target: string,
  trusted: readonly TrustedKey[],
): Variables {
  return {
    TARGET: settings.target ?? target,
    VERIFIER_URLS: settings.verifiers.join(","),
    TRUSTED_KEYS: JSON.stringify(trusted),
    ...(settings.training && { TRAINING_URL: settings.training }),
    ...(settings.recipe && { RETRAIN_RECIPE: settings.recipe }),
    ...(settings.retraining && { RETRAINING: settings.retraining }),
    ...settings.variables,
  };
}

export const workerSecrets = (secrets: Secrets): Variables => ({
  LINK_KEY_ID: secrets.link.id,
  LINK_SECRET: secrets.link.secret,
  ADMIN_SECRET: secrets.admin,
  TRAINING_TOKEN: secrets.training,
});

/** For `gpu-service/verify/main.ts` and `gpu-service/training/main.ts` on the GPU box. */
export function boxVariables(
  settings: DeploySettings,
  secrets: Secrets,
  bucket: string,
  account: string | undefined,
): Variables {
  return {
    LINK_KEYS: JSON.stringify([secrets.link]),
    // The gates try a candidate against the verifier; both services are started in the repository.
    GATES_PROGRAM: "infra/gates/main.ts",
    VERIFIER_URL: settings.verifiers[0]!,
    LINK_KEY_ID: secrets.link.id,
    LINK_SECRET: secrets.link.secret,
    TRAINING_TOKEN: secrets.training,
    ADMIN_SECRET: secrets.admin,
    EDGE_URL: `https://${settings.domain ?? "WORKER.SUBDOMAIN.workers.dev"}`,
    S3_ENDPOINT: `https://${account ?? "ACCOUNT_ID"}.r2.cloudflarestorage.com`,
    S3_BUCKET: bucket,
    S3_ACCESS_KEY_ID: settings.r2?.accessKeyId ?? "R2_ACCESS_KEY_ID",
    S3_SECRET_ACCESS_KEY: settings.r2?.secretAccessKey ?? "R2_SECRET_ACCESS_KEY",
  };
}

/** As `docker --env-file` and systemd's EnvironmentFile read it: values as they are, none has an end of line. */
export const envFile = (variables: Variables): string =>
  Object.entries(variables)
    .map(([name, value]) => `${name}=${value}\n`)
    .join("");
