/**
 * `npm run releases`, `keys`, `traffic` and `retraining`: the operator's commands, with this installation's settings
 * where the environment names none.
 */
import { readWranglerToml } from "../start/edge.ts";
import { StartError } from "../start/errors.ts";
import { openDataFolder } from "../start/paths.ts";
import { openSecrets } from "../start/secrets.ts";
import { publishingVariables } from "../start/services.ts";

const COMMANDS: Record<string, () => Promise<unknown>> = {
  releases: () => import("../../gpu-service/training/releases-cli.ts"),
  keys: () => import("./keys-cli.ts"),
  traffic: () => import("./traffic-cli.ts"),
  retraining: () => import("./retraining-cli.ts"),
};

const [name = ""] = process.argv.splice(2, 1);
const command = COMMANDS[name];
if (!command) throw new Error(`expected one of ${Object.keys(COMMANDS).join(", ")}, not "${name}"`);
try {
  for (const [key, value] of Object.entries(installationSettings())) process.env[key] ??= value;
} catch (error) {
  if (!(error instanceof StartError)) throw error;
  console.error(error.message);
  process.exit(1);
}
await command();

function installationSettings(): Record<string, string> {
  const data = openDataFolder();
  const address = process.env.EDGE_URL ?? `http://127.0.0.1:${process.env.OUTRIDER_PORT || 8787}`;
  return {
    ...publishingVariables(data, address, openSecrets(data.keys)),
    TARGET: /^TARGET\s*=\s*"([^"]+)"/m.exec(readWranglerToml())?.[1] ?? "",
  };
}
