/** The worker and the second one for canaries, in one workerd: configuration files of their own, bound to each other. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type DataFolder, ROOT } from "./paths.ts";

const PATHS = /^(main|directory|migrations_dir) = "([^"]+)"$/gm;
const VARIABLES = /^\[vars\]\n([^[\n].*\n)*/m;
const BINDING = /^# (\[\[services\]\]|binding = "CANARY"|service = ".*")$/gm;

/** Wrangler's arguments. `variables`: also the second one's, which wrangler takes from its configuration only. */
export function twoWorkers(data: DataFolder, variables: Record<string, string>): string[] {
  const first = read("wrangler.toml").replaceAll(BINDING, "$1");
  const lines = Object.entries({ ...variables, SERVES: "canary" }).map(
    // A JSON string is one of TOML's.
    ([name, value]) => `${name} = ${JSON.stringify(value)}\n`,
  );
  const second = read("wrangler.canary.toml").replace(VARIABLES, () => `[vars]\n${lines.join("")}`);
  return Object.entries({ first, second }).flatMap(([name, toml]) => {
    const file = join(data.edge, `${name}-worker.toml`);
    writeFileSync(file, toml, { mode: 0o600 });
    return ["-c", file];
  });
}

/** Its paths as seen from anywhere. */
const read = (file: string): string =>
  readFileSync(join(ROOT, file), "utf8").replaceAll(
    PATHS,
    (_, key, path) => `${key} = "${join(ROOT, path)}"`,
  );
