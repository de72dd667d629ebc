/** `npm run deploy`: puts the worker on a Cloudflare account, and writes what the GPU box is to be started with. */
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { openSigningKeys } from "../../gpu-service/training/publish/signing-keys.ts";
import { buildKernel } from "../build/kernel.ts";
import { readWranglerToml } from "../start/edge.ts";
import { StartError } from "../start/errors.ts";
import { openDataFolder, ROOT } from "../start/paths.ts";
import { runMain } from "../start/run-main.ts";
import { openSecrets } from "../start/secrets.ts";
import type { Ran } from "./account.ts";
import { deploy } from "./deploy.ts";
import { readSettings } from "./settings.ts";
import { boxVariables, envFile, workerSecrets, workerVariables } from "./variables.ts";

await runMain(main);

async function main(): Promise<number> {
  const scratch = mkdtempSync(join(tmpdir(), "outrider-deploy-"));
  try {
    await run(scratch);
    return 0;
  } catch (error) {
    throw new StartError(error instanceof Error ? error.message : String(error));
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

async function run(scratch: string): Promise<void> {
  const settings = readSettings(process.argv.slice(2), process.env);
  const data = openDataFolder();
  const folder = join(data.root, "deploy", settings.environment ?? "production");
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const secrets = openSecrets(data.keys);
  const { trusted } = await openSigningKeys(data.keys);
  const toml = readWranglerToml();
  const root = relative(folder, ROOT);
  const target = /^TARGET\s*=\s*"([^"]+)"/m.exec(toml)?.[1] ?? "";
  const variables = workerVariables(settings, target, trusted);
  const say = (line: string) => console.log(line);

  await buildKernel();
  const { buckets } = await deploy({
    ...{ settings, toml, canaryToml: readFileSync(join(ROOT, "wrangler.canary.toml"), "utf8"), root },
    ...{ variables, secrets: workerSecrets(secrets), wrangler, say },
    writeFile: (name, text) => {
      writeFileSync(join(folder, name), text);
      return join(folder, name);
    },
    folders: { bundle: join(scratch, "bundle"), database: join(scratch, "database") },
  });

  const account = process.env.CLOUDFLARE_ACCOUNT_ID;
  const box = join(folder, "gpu-box.env");
  writeFileSync(box, envFile(boxVariables(settings, secrets, buckets[0] ?? "", account)), { mode: 0o600 });
  say(`the GPU box's variables: ${box}`);
}

/** Wrangler's own questions would hang a deployment: it gets none to ask. */
function wrangler(args: readonly string[], input?: string): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const child = spawn(join(ROOT, "node_modules/.bin/wrangler"), args, {
      cwd: ROOT,
      env: { ...process.env, WRANGLER_SEND_METRICS: "false", WRANGLER_HIDE_BANNER: "true", CI: "1" },
    });
    const [stdout, stderr]: [Buffer[], Buffer[]] = [[], []];
    child.stdout.on("data", (part: Buffer) => stdout.push(part));
    child.stderr.on("data", (part: Buffer) => stderr.push(part));
    child.on("error", reject);
    child.on("close", (code) =>
      resolve({
        code: code ?? 1,
        stdout: Buffer.concat(stdout).toString(),
        stderr: Buffer.concat(stderr).toString(),
      }),
    );
    child.stdin.end(input ?? "");
  });
}
