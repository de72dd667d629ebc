/** A training service as a process of its own, to be killed: `node training-process.ts FOLDER`. */
import { openService } from "./training.ts";

const folder = process.argv[2];
if (!folder) throw new Error("training-process: FOLDER is missing");
const { runner } = openService(folder);
runner.start();
process.on("SIGTERM", () => void runner.close().then(() => process.exit(0)));
console.log("up");
