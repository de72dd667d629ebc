/**
 * A deployment, from its settings to a worker that serves: checks without the account, the account's resources,
 * migrations, the worker, its secrets. Everything may be done again; nothing is ever removed.
 */
import { ensureResources, must, type Wrangler } from "./account.ts";
import { checkLocally } from "./local-checks.ts";
import type { DeploySettings } from "./settings.ts";
import type { Variables } from "./variables.ts";
import { deploymentFile, resourcesOf } from "./wrangler-file.ts";

export type DeployParts = {
  settings: DeploySettings;
  /** The repository's wrangler.toml, and the way from the deployment's to the repository's root. */
  toml: string;
  root: string;
  variables: Variables;
  secrets: Variables;
  wrangler: Wrangler;
  /** Writes the deployment's wrangler.toml; returns its path. */
  writeFile(text: string): string;
  folders: { bundle: string; database: string };
  say(line: string): void;
};

export async function deploy(parts: DeployParts): Promise<void> {
  const { settings, variables, secrets, wrangler, folders, say } = parts;
  const fileFor = (databaseId: string | undefined) =>
    deploymentFile(parts.toml, {
      ...{ environment: settings.environment, domain: settings.domain, root: parts.root },
      ...{ databaseId, variables },
    });
  const draft = fileFor(undefined);
  const resources = resourcesOf(draft);
  const file = parts.writeFile(draft);
  await checkLocally({ wrangler, file, ...folders, variables: { ...variables, ...secrets }, say });
  if (settings.dryRun) {
    for (const line of atTheDoor(resources, file, secrets)) say(`would run: ${line}`);
    return;
  }
  const { databaseId } = await ensureResources(wrangler, resources, say);
  parts.writeFile(fileFor(databaseId));
  await must(wrangler, ["d1", "migrations", "apply", "DB", "--remote", "--config", file]);
  say("migrations: applied");
  // The worker must be there before it can have secrets; without them it answers /healthz and nothing else.
  await must(wrangler, ["deploy", "--config", file]);
  await must(wrangler, ["secret", "bulk", "--config", file], JSON.stringify(secrets));
  say(`worker ${resources.worker}: deployed, ${Object.keys(secrets).length} secrets`);
}

function atTheDoor(
  { buckets, databases, queues }: ReturnType<typeof resourcesOf>,
  file: string,
  secrets: Variables,
): string[] {
  return [
    ...buckets.map((name) => `wrangler r2 bucket create ${name}`),
    ...queues.map((name) => `wrangler queues create ${name}`),
    ...databases.map((name) => `wrangler d1 create ${name}`),
    `wrangler d1 migrations apply DB --remote --config ${file}`,
    `wrangler deploy --config ${file}`,
    `wrangler secret bulk --config ${file}   (${Object.keys(secrets).join(", ")})`,
  ];
}
