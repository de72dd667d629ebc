/** The trainer of the job that runs, as a victim; its service starts it again. */
import type { JobStore } from "../../../gpu-service/training/jobs/store.ts";
import type { Victim } from "./at-random.ts";

/** Losses in a row at one place after which a job fails, as it should. */
const LOSSES_THAT_FAIL = 3;

/** `store`: the service's own. */
export const trainerVictim = (store: JobStore): Victim => ({
  name: "trainer",
  async kill() {
    const running = store.running()[0];
    if (!running?.process || running.attempts >= LOSSES_THAT_FAIL) return false;
    try {
      // By its identity, "PID@START".
      process.kill(Number.parseInt(running.process, 10), "SIGKILL");
      return true;
    } catch {
      // It has just ended by itself.
      return false;
    }
  },
});
