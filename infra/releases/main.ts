/** `npm run releases` and `npm run keys`: the training service's commands, with this installation's settings where the environment names none. */
import { readLocalBucket, readWranglerToml } from "../start/edge.ts";
import { openDataFolder } from "../start/paths.ts";
import { openSecrets } from "../start/secrets.ts";

const COMMANDS: Record<string, () => Promise<unknown>> = {
  releases: () => import("../../gpu-service/training/releases-cli.ts"),
  keys: () => import("../../gpu-service/training/keys-cli.ts"),
};

const data = openDataFolder();
const bucket = readLocalBucket();
const address = process.env.EDGE_URL ?? `http://127.0.0.1:${process.env.OUTRIDER_PORT || 8787}`;
const settings: Record<string, string> = {
  KEYS_DIR: data.keys,
  S3_ENDPOINT: `${address}${bucket.endpointPath}`,
  S3_ACCESS_KEY_ID: bucket.accessKeyId,
  S3_SECRET_ACCESS_KEY: bucket.secretAccessKey,
  S3_BUCKET: bucket.bucket,
  EDGE_URL: address,
  ADMIN_SECRET: openSecrets(data.keys).admin,
  TARGET: /^TARGET\s*=\s*"([^"]+)"/m.exec(readWranglerToml())?.[1] ?? "",
};
for (const [name, value] of Object.entries(settings)) process.env[name] ??= value;

const [name = ""] = process.argv.splice(2, 1);
const command = COMMANDS[name];
if (!command) throw new Error(`expected one of ${Object.keys(COMMANDS).join(", ")}, not "${name}"`);
await command();
