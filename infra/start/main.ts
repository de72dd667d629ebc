/** `npm start [-- --fresh] [-- --tiny]`: starts the system, says where it is, ends it on Ctrl-C. */
import { rmSync } from "node:fs";
import { parseArgs } from "node:util";
import { StartError } from "./errors.ts";
import { type DataFolder, openDataFolder } from "./paths.ts";
import { fixedPorts } from "./ports.ts";
import { type System, startSystem } from "./system.ts";

const USAGE = `npm start [-- OPTIONS]
  --fresh   first forget the installation: releases, keys, jobs (downloaded and converted models stay)
  --tiny    serve the tiny test model instead of SmolLM2-135M-Instruct`;
/** A second Ctrl-C after this long ends at once what the first one asks to end. */
const IMPATIENCE_MS = 1_000;

const began = Date.now();
const seconds = () => ((Date.now() - began) / 1000).toFixed(1).padStart(5);
const say = (line: string) => console.log(`${seconds()} s  ${line}`);

try {
  await main();
} catch (error) {
  console.error(error instanceof StartError ? `\n${error.message}` : error);
  process.exitCode = 1;
}

async function main(): Promise<void> {
  const options = readOptions();
  if (options.help) return console.log(USAGE);
  let data = openDataFolder();
  if (options.fresh) data = forget(data);
  const ports = await fixedPorts(process.env);
  const stopAsked = new Promise<string>((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => resolve(signal));
  });
  const starting = startSystem({
    ...{ data, ports, say, orTiny: true, retrainRecipe: process.env.RETRAIN_RECIPE },
    target: options.tiny ? "tiny" : "smollm2",
  });
  const system = await Promise.race([starting, stopAsked]);
  if (typeof system === "string") {
    // Asked to stop in the middle of a start: the guard ends whatever runs.
    process.exit(130);
  }
  introduce(system);
  const end = await Promise.race([stopAsked, system.unexpectedExit]);
  const impatient = Date.now() + IMPATIENCE_MS;
  process.on("SIGINT", () => Date.now() > impatient && process.exit(130));
  if (typeof end !== "string") console.error(`\n${end.reason}; see ${data.logs}/${end.name}.log`);
  say("stopping");
  await system.stop();
  process.exitCode = typeof end === "string" ? 0 : 1;
}

function readOptions() {
  try {
    const { values } = parseArgs({
      options: {
        fresh: { type: "boolean", default: false },
        tiny: { type: "boolean", default: false },
        help: { type: "boolean", short: "h", default: false },
      },
    });
    return values;
  } catch (error) {
    throw new StartError(`${error instanceof Error ? error.message : error}\n\n${USAGE}`);
  }
}

function forget(data: DataFolder): DataFolder {
  for (const folder of [data.edge, data.training, data.keys, data.logs]) {
    rmSync(folder, { recursive: true, force: true });
  }
  return openDataFolder(data.root);
}

function introduce({ address, key, target }: System): void {
  console.log(`
Outrider serves ${target}.

  address   ${address}/v1
  API key   ${key}
  page      ${address}/#key=${key}

  curl ${address}/v1/chat/completions \\
    -H "Authorization: Bearer ${key}" -H "Content-Type: application/json" \\
    -d '{"model": "${target}", "stream": true, "messages": [{"role": "user", "content": "Why is the sky blue?"}]}'

Ctrl-C stops everything. Data is kept; \`npm start -- --fresh\` forgets it.
`);
}
