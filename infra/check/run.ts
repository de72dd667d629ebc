/** Runs a tool of the checks with its output shown. */
import { spawn } from "node:child_process";
import { ROOT } from "../start/paths.ts";

/** Resolves to the exit code; 1 where the command does not start. */
export function run(command: string, args: readonly string[], cwd = ROOT): Promise<number> {
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd, stdio: ["ignore", "inherit", "inherit"] });
    const passOn = (signal: NodeJS.Signals) => child.kill(signal);
    process.on("SIGTERM", passOn);
    child.on("error", (error) => {
      console.error(`${command}: ${error.message}`);
      resolve(1);
    });
    child.on("close", (code) => {
      process.off("SIGTERM", passOn);
      resolve(code ?? 1);
    });
  });
}
