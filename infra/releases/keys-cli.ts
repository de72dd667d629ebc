/** `npm run keys`: API keys here, signing keys by the training service's command. */
import { keysCommand } from "./api-keys.ts";

const args = process.argv.slice(2);
if (args[0] === "signing") {
  await import("../../gpu-service/training/keys-cli.ts");
} else {
  const { EDGE_URL: address = "", ADMIN_SECRET: secret = "" } = process.env;
  try {
    for (const line of await keysCommand(args, { address, secret, fetch })) console.log(line);
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error));
    process.exitCode = 2;
  }
}
