/** Keeps the verifier's core to itself: on a machine of two, what drafts and what measures would slow it down. */
import { execFileSync } from "node:child_process";
import { cpus } from "node:os";

/** Moves this process to core 1, where everything but the verifier runs. False where that cannot be done. */
export function leaveVerifierCore(): boolean {
  if (cpus().length < 2) return false;
  try {
    execFileSync("taskset", ["-a", "-cp", "1", String(process.pid)], { stdio: "ignore" });
    return true;
  } catch {
    // No taskset (macOS): the figures are a little noisier.
    return false;
  }
}
