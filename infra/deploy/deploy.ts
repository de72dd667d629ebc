/**
 * A deployment, from its settings to a worker that serves: checks without the account, the account's resources,
 * migrations, the worker, its secrets. Everything may be done again; nothing is ever removed.
 */
import { ensureResources, must, type Wrangler } from "./account.ts";
import { checkLocally } from "./local-checks.ts";
import type { DeploySettings } from "./settings.ts";
import type { Variables } from "./variables.ts";
import { deploymentFile, type Resources, resourcesOf, withSecondWorker } from "./wrangler-file.ts";

export type DeployParts = {
  settings: DeploySettings;
  /** The repository's wrangler.toml and wrangler.canary.toml, and the way from the deployment's folder to the root. */
  toml: string;
  canaryToml: string;
  root: string;
  variables: Variables;
  secrets: Variables;
  wrangler: Wrangler;
  /** Writes a file of the deployment's; returns its path. */
  writeFile(name: string, text: string): string;
  folders: { bundle: string; database: string };
  say(line: string): void;
};

/** Returns what the deployment's resources are called. */
export async function deploy(parts: DeployParts): Promise<Resources> {
  const { settings, variables, secrets, wrangler, folders, say } = parts;
  const resources = resourcesOf(firstFile(parts, undefined));
  const files = writeFiles(parts, undefined);
  const checked = [files.first, ...(files.second ? [files.second.canary] : [])];
  await checkLocally({ wrangler, files: checked, ...folders, variables: { ...variables, ...secrets }, say });
  const migrate = ["d1", "migrations", "apply", "DB", "--remote", "--config", files.first];
  if (settings.dryRun) {
    const names = `   (${Object.keys(secrets).join(", ")})`;
    const commands = [...creations(resources), migrate, ...deployments(files)];
    for (const args of commands)
      say(`would run: wrangler ${args.join(" ")}${takesSecrets(args) ? names : ""}`);
    return resources;
  }
  const { databaseId } = await ensureResources(wrangler, resources, say);
  writeFiles(parts, databaseId);
  await must(wrangler, migrate);
  say("migrations: applied");
  for (const args of deployments(files))
    await must(wrangler, args, takesSecrets(args) ? JSON.stringify(secrets) : undefined);
  say(`worker ${resources.worker}: deployed, ${Object.keys(secrets).length} secrets`);
  if (files.second) say(`worker ${resources.worker}: bound to the second one, for canaries`);
  return resources;
}

type Files = { first: string; second: { canary: string; bound: string } | undefined };

function writeFiles(parts: DeployParts, databaseId: string | undefined): Files {
  const { settings, writeFile } = parts;
  const text = firstFile(parts, databaseId);
  const first = writeFile("wrangler.toml", text);
  if (!settings.secondWorker) return { first, second: undefined };
  const variables = { ...parts.variables, SERVES: "canary" };
  const { environment } = settings;
  const canary = deploymentFile(parts.canaryToml, {
    ...{ environment, domain: undefined, root: parts.root, databaseId, variables },
  });
  return {
    first,
    second: {
      canary: writeFile("wrangler.canary.toml", canary),
      bound: writeFile("wrangler.bound.toml", withSecondWorker(text, environment)),
    },
  };
}

const firstFile = ({ settings, toml, root, variables }: DeployParts, databaseId: string | undefined) =>
  deploymentFile(toml, {
    ...{ environment: settings.environment, domain: settings.domain, root, databaseId, variables },
  });

/**
 * A worker must be there before it can have secrets; without them it answers /healthz and nothing else. The second one
 * uses the first one's objects, and the first one is bound to the second: so the first is deployed before and after.
 */
const deployments = ({ first, second }: Files): string[][] => [
  ["deploy", "--config", first],
  ["secret", "bulk", "--config", first],
  ...(second
    ? [
        ["deploy", "--config", second.canary],
        ["secret", "bulk", "--config", second.canary],
        ["deploy", "--config", second.bound],
      ]
    : []),
];
const takesSecrets = ([command]: readonly string[]): boolean => command === "secret";

const creations = ({ buckets, databases, queues }: Resources): string[][] => [
  ...buckets.map((name) => ["r2", "bucket", "create", name]),
  ...queues.map((name) => ["queues", "create", name]),
  ...databases.map((name) => ["d1", "create", name]),
];
