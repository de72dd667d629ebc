/** What can be known of a deployment without an account: does it build, does it fit, do its settings hold? */
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { readConfig, VARIABLE_NAMES } from "../../edge/config.ts";
import { must, type Wrangler } from "./account.ts";
import type { Variables } from "./variables.ts";

/** Workers' limit for a bundle before compression. */
const MAX_BUNDLE_BYTES = 64 << 20;

export type LocalChecks = {
  wrangler: Wrangler;
  /** The deployment's wrangler.toml, and that of the second Worker where there is to be one. */
  files: readonly string[];
  /** Empty folders for what the checks make. */
  bundle: string;
  database: string;
  variables: Variables;
  say(line: string): void;
};

/** Throws an Error that says what is wrong. */
export async function checkLocally({
  wrangler,
  files,
  bundle,
  database,
  variables,
  say,
}: LocalChecks): Promise<void> {
  const strangers = Object.keys(variables).filter((name) => !VARIABLE_NAMES.includes(name));
  if (strangers.length > 0) throw new Error(`the worker knows no variable ${strangers.join(", ")}`);
  const { target, verifierUrls } = readConfig(variables);
  say(`settings: target ${target}, ${verifierUrls.length} verifiers`);
  for (const file of files)
    await must(wrangler, ["deploy", "--dry-run", "--config", file, "--outdir", bundle]);
  const bytes = sizeOf(bundle);
  if (bytes > MAX_BUNDLE_BYTES)
    throw new Error(`the bundle has ${bytes} bytes, ${MAX_BUNDLE_BYTES} are allowed`);
  say(`worker: builds, ${(bytes / 2 ** 20).toFixed(1)} MiB of ${MAX_BUNDLE_BYTES >> 20}`);
  await must(wrangler, [
    ...["d1", "migrations", "apply", "DB", "--local"],
    ...["--config", files[0]!, "--persist-to", database],
  ]);
  say("migrations: apply to an empty database");
}

/** Bytes of the bundle's own files; maps are not uploaded with it. */
function sizeOf(folder: string): number {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((name) => !name.endsWith(".map") && !name.endsWith(".md"))
    .map((name) => statSync(join(folder, name)))
    .reduce((sum, stat) => sum + (stat.isFile() ? stat.size : 0), 0);
}
