/** `npm run keys`: API keys here, signing keys by the training service's command. */
import { runAdminCommand } from "./admin.ts";
import { keysCommand } from "./api-keys.ts";

if (process.argv[2] === "signing") await import("../../gpu-service/training/keys-cli.ts");
else await runAdminCommand(keysCommand);
