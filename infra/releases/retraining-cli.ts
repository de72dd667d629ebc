import { runAdminCommand } from "./admin.ts";
import { retrainingCommand } from "./retraining.ts";

await runAdminCommand(retrainingCommand);
