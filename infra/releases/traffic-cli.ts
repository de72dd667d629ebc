import { runAdminCommand } from "./admin.ts";
import { trafficCommand } from "./traffic.ts";

await runAdminCommand(trafficCommand);
