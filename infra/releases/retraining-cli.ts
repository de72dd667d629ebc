/** Prints what the command says; its settings stand in the environment by now. */
import { retrainingCommand } from "./retraining.ts";

const { EDGE_URL: address = "", ADMIN_SECRET: secret = "" } = process.env;
try {
  for (const line of await retrainingCommand(process.argv.slice(2), { address, secret, fetch })) {
    console.log(line);
  }
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error));
  process.exitCode = 2;
}
