/**
 * A deployment's own wrangler.toml, made of the repository's: names with the environment's suffix, the account's
 * database, the custom domain, and paths as seen from where the file lies. What only the local worker needs is left out.
 */

export type Deployment = {
  environment: string | undefined;
  domain: string | undefined;
  /** From the file's folder to the repository's root. */
  root: string;
  /** Of the account's D1; undefined: not known yet, as in a dry run. */
  databaseId: string | undefined;
  /** The worker's plain variables, in place of the repository's. */
  variables: Record<string, string>;
};
/** What the account must have, by the names that this deployment gives them. */
export type Resources = { worker: string; buckets: string[]; databases: string[]; queues: string[] };

const OURS = /^(name|bucket_name|database_name|queue|dead_letter_queue|script_name) = "(outrider[a-z-]*)"$/gm;
const PATHS = /^(main|directory|migrations_dir) = "([^"]+)"$/gm;
const VARIABLES = /^\[vars\]\n([^[\n].*\n)*/m;
const LOCAL_ONLY = /^(#.*\n)*\[[^\]\n]*local_dev[^\]\n]*\]\n([^[\n].*\n)*/gm;
/** How the first Worker reaches the second, as wrangler.toml shows it at its end. */
const BINDING = /^# (\[\[services\]\]|binding = "CANARY"|service = "(outrider-canary)")$/gm;
const NO_DATABASE = "00000000-0000-0000-0000-000000000000";

export function deploymentFile(toml: string, deployment: Deployment): string {
  const suffix = deployment.environment === undefined ? "" : `-${deployment.environment}`;
  const file = toml
    .replaceAll(LOCAL_ONLY, "")
    .replaceAll(OURS, (_, key, name) => `${key} = "${name}${suffix}"`)
    .replaceAll(PATHS, (_, key, path) => `${key} = "${deployment.root}/${path}"`)
    .replaceAll(NO_DATABASE, deployment.databaseId ?? NO_DATABASE)
    .replace(VARIABLES, () => `[vars]\n${tomlOf(deployment.variables)}`);
  if (deployment.domain === undefined) return file;
  const routes = `routes = [{ pattern = "${deployment.domain}", custom_domain = true }]\n`;
  // Before the first table: a key after one would be the table's.
  return file.replace(/^(?=\[)/m, `${routes}\n`);
}

/** A JSON string is one of TOML's. */
const tomlOf = (variables: Record<string, string>): string =>
  Object.entries(variables)
    .map(([name, value]) => `${name} = ${JSON.stringify(value)}\n`)
    .join("");

/** Read back from a deployment's file. */
export function resourcesOf(file: string): Resources {
  const all = (key: string) => [
    ...new Set([...file.matchAll(new RegExp(`^${key} = "([^"]+)"$`, "gm"))].map((match) => match[1]!)),
  ];
  return {
    worker: all("name")[0] ?? "",
    buckets: all("bucket_name"),
    databases: all("database_name"),
    queues: [...new Set([...all("queue"), ...all("dead_letter_queue")])],
  };
}

/** A deployment's file with the binding to the second Worker, which must be there by then. */
export const withSecondWorker = (file: string, environment: string | undefined): string =>
  file.replaceAll(BINDING, (_, line: string, name: string | undefined) =>
    name === undefined || environment === undefined ? line : `service = "${name}-${environment}"`,
  );
