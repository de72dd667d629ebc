import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parseTrainingConfig } from "../../../gpu-service/training/config.ts";
import { readConfig as readVerifierConfig } from "../../../gpu-service/verify/config.ts";
import { ensureResources, type Ran, type Wrangler } from "../../../infra/deploy/account.ts";
import { deploy } from "../../../infra/deploy/deploy.ts";
import { readSettings } from "../../../infra/deploy/settings.ts";
import { boxVariables, envFile, workerSecrets, workerVariables } from "../../../infra/deploy/variables.ts";
import { deploymentFile, resourcesOf } from "../../../infra/deploy/wrangler-file.ts";
import { readWranglerToml } from "../../../infra/start/edge.ts";
import { ROOT } from "../../../infra/start/paths.ts";
import { temporaryFolder } from "../../support/training-folder.ts";

const SECRETS = {
  link: { id: "link-1", secret: "l".repeat(43) },
  admin: "a".repeat(43),
  training: "t".repeat(43),
};
const CANARY = join(ROOT, "wrangler.canary.toml");
const FLAGS = ["--verifier", "wss://a.example.org,wss://b.example.org", "--domain", "api.example.org"];
const settings = (...more: string[]) => readSettings([...FLAGS, ...more], {});
const fine: Ran = { code: 0, stdout: "", stderr: "" };

/** An account in memory that answers as wrangler does. */
function account(there: string[] = [], broken?: string) {
  const ran: string[] = [];
  const secrets: string[] = [];
  const has = new Set(there);
  const wrangler: Wrangler = async (args, input) => {
    const line = args.join(" ");
    ran.push(line);
    if (broken !== undefined && line.startsWith(broken))
      return { code: 1, stdout: "", stderr: "Authentication error" };
    if (input !== undefined) secrets.push(input);
    if (line === "d1 list --json") {
      const names = [...has].filter((name) => name.startsWith("d1 ")).map((name) => name.slice(3));
      return { ...fine, stdout: JSON.stringify(names.map((name) => ({ name, uuid: `uuid-of-${name}` }))) };
    }
    if (args.includes("create")) {
      const name = args.filter((arg) => arg !== "create" && arg !== "bucket").join(" ");
      if (has.has(name))
        return { ...fine, code: 1, stderr: "A bucket/queue with this name already exists [code: 10004]" };
      has.add(name);
    }
    return fine;
  };
  return { wrangler, ran, secrets };
}

async function deployTo({ wrangler }: ReturnType<typeof account>, wanted = settings()) {
  const written: string[] = [];
  const said: string[] = [];
  const folder = temporaryFolder();
  await deploy({
    settings: wanted,
    ...{ toml: readWranglerToml(), canaryToml: readFileSync(CANARY, "utf8") },
    root: "../..",
    variables: workerVariables(wanted, "tiny", []),
    secrets: workerSecrets(SECRETS),
    wrangler,
    writeFile: (name, text) => {
      written.push(text);
      return name;
    },
    folders: { bundle: folder, database: folder },
    say: (line) => said.push(line),
  });
  return { written, said };
}

test("a deployment's file: names with the environment, the account's database, the domain, paths from where it lies", () => {
  const file = deploymentFile(readWranglerToml(), {
    ...{ environment: "staging", domain: "api.example.org", root: "../../..", databaseId: "uuid-1" },
    variables: { TARGET: "tiny", TRUSTED_KEYS: '[{"id":"1"}]' },
  });
  expect(resourcesOf(file)).toEqual({
    worker: "outrider-staging",
    buckets: ["outrider-releases-staging"],
    databases: ["outrider-staging"],
    queues: ["outrider-traffic-staging"],
  });
  expect(file).toContain('main = "../../../edge/worker.ts"');
  expect(file).toContain('database_id = "uuid-1"');
  expect(file).toContain('TRUSTED_KEYS = "[{\\"id\\":\\"1\\"}]"');
  expect(file.indexOf("custom_domain = true")).toBeLessThan(file.indexOf("\n["));
  expect(file).toContain('name = "outrider-retraining-staging"');
  // Bindings keep their names, and nothing of the local worker's goes out.
  expect(file).toContain('binding = "RELEASES"');
  expect(file).not.toMatch(/local_dev|secretAccessKey|smollm2|00000000-0000/);
});

test("a dry run asks the account nothing and says what it would do there", async () => {
  const there = account();
  const { said, written } = await deployTo(there, settings("--dry-run"));
  expect(there.ran).toEqual([
    expect.stringMatching(/^deploy --dry-run --config wrangler.toml/),
    expect.stringMatching(/^d1 migrations apply DB --local --config wrangler.toml/),
  ]);
  expect(written).toHaveLength(1);
  expect(said.filter((line) => line.startsWith("would run: ")).map((line) => line.slice(11))).toEqual([
    "wrangler r2 bucket create outrider-releases",
    "wrangler queues create outrider-traffic",
    "wrangler d1 create outrider",
    "wrangler d1 migrations apply DB --remote --config wrangler.toml",
    "wrangler deploy --config wrangler.toml",
    "wrangler secret bulk --config wrangler.toml   (LINK_KEY_ID, LINK_SECRET, ADMIN_SECRET, TRAINING_TOKEN)",
  ]);
});

test("an empty account gets everything, a full one keeps what it has, in the same order", async () => {
  const empty = account();
  const { written } = await deployTo(empty);
  expect(written.at(-1)).toContain('database_id = "uuid-of-outrider"');
  expect(empty.ran.slice(2)).toEqual([
    "r2 bucket create outrider-releases",
    "queues create outrider-traffic",
    "d1 list --json",
    "d1 create outrider",
    "d1 list --json",
    "d1 migrations apply DB --remote --config wrangler.toml",
    "deploy --config wrangler.toml",
    "secret bulk --config wrangler.toml",
  ]);
  expect(JSON.parse(empty.secrets[0]!)).toEqual(workerSecrets(SECRETS));
  const full = account(["r2 outrider-releases", "queues outrider-traffic", "d1 outrider"]);
  const { said } = await deployTo(full);
  expect(said).toContain("r2 bucket outrider-releases: found");
  expect(said).toContain("queues outrider-traffic: found");
  expect(said).toContain("d1 outrider: found");
  expect(full.ran).not.toContain("d1 create outrider");
});

test("a second Worker is deployed after the first, which is bound to it then", async () => {
  const there = account();
  const { written } = await deployTo(there, settings("--second-worker", "--environment", "staging"));
  expect(there.ran.slice(0, 2)).toEqual([
    expect.stringMatching(/^deploy --dry-run --config wrangler.toml/),
    expect.stringMatching(/^deploy --dry-run --config wrangler.canary.toml/),
  ]);
  expect(there.ran.slice(-5)).toEqual([
    "deploy --config wrangler.toml",
    "secret bulk --config wrangler.toml",
    "deploy --config wrangler.canary.toml",
    "secret bulk --config wrangler.canary.toml",
    "deploy --config wrangler.bound.toml",
  ]);
  const [first, second, bound] = written.slice(-3);
  expect(first).not.toMatch(/^service = /m);
  expect(bound).toMatch(/^\[\[services\]\]\nbinding = "CANARY"\nservice = "outrider-canary-staging"$/m);
  expect(second).toMatch(/^name = "outrider-canary-staging"$/m);
  expect(second).toContain('SERVES = "canary"');
  expect(second).toContain('database_id = "uuid-of-outrider-staging"');
  expect(second!.match(/script_name = "outrider-staging"/g)).toHaveLength(4);
  expect(second).not.toContain("custom_domain");
});

test("what the account refuses is told in its own words, and nothing after it is done", async () => {
  const closed = account([], "queues create");
  await expect(deployTo(closed)).rejects.toThrow(
    /wrangler queues create outrider-traffic ended with 1:\nAuthentication/,
  );
  expect(closed.ran.at(-1)).toBe("queues create outrider-traffic");
  const said: string[] = [];
  const none = { worker: "w", buckets: [], databases: [], queues: [] };
  await expect(ensureResources(account().wrangler, none, (line) => said.push(line))).rejects.toThrow(
    "no database",
  );
});

test("settings that the worker would refuse are refused before anything is built", async () => {
  const there = account();
  await expect(deployTo(there, settings("--retraining", '{"share": 2}'))).rejects.toThrow(/RETRAINING: /);
  expect(there.ran).toEqual([]);
});

test.each([
  [[], "verifiers: --verifier is missing"],
  [["--verifier", "ws://a.example.org"], "verifiers: must be an address"],
  [["--verifier", "wss://a", "--training", "http://b"], "training: must be an address"],
  [["--verifier", "wss://a", "--domain", "not a host"], "domain: is not a host name"],
  [["--verifier", "wss://a", "--environment", "Prod!"], "environment: is lower-case"],
])("wrong flags are named: %j", (args, message) => {
  expect(() => readSettings(args, {})).toThrow(message);
});

test("a variable that the worker does not know is refused, one that it knows is set", async () => {
  const there = account();
  await expect(deployTo(there, settings("--var", "TRAFIC_DAY_BYTES=1"))).rejects.toThrow("TRAFIC_DAY_BYTES");
  const { written } = await deployTo(there, settings("--var", "TRAFFIC_DAY_BYTES=1", "--var", "LINK=own"));
  expect(written.at(-1)).toContain('TRAFFIC_DAY_BYTES = "1"\nLINK = "own"\n');
});

/** The variables that docs/operations.md sets before the command that starts a service. */
function fromTheDocs(program: string): Record<string, string> {
  const docs = readFileSync(join(ROOT, "docs/operations.md"), "utf8");
  const line = docs.split("\n").find((one) => one.endsWith(` node ${program}`)) ?? "";
  return Object.fromEntries([...line.matchAll(/(\w+)=(\S+)/g)].map((match) => [match[1]!, match[2]!]));
}

test("with gpu-box.env and what the docs add to it, both services have all that they need", () => {
  const box = boxVariables(settings(), SECRETS, "outrider-releases", "account-1");
  const training = { ...box, ...fromTheDocs("gpu-service/training/main.ts") };
  const parsed = parseTrainingConfig(training);
  expect(parsed).toMatchObject({ ok: true, value: { TRAINING_TOKEN: SECRETS.training } });
  expect(parsed.ok && parsed.value.publishing).toMatchObject({
    ...{ GATES_PROGRAM: "infra/gates/main.ts", VERIFIER_URL: "wss://a.example.org", LINK_KEY_ID: "link-1" },
    ...{ LINK_SECRET: SECRETS.link.secret, ADMIN_SECRET: SECRETS.admin, S3_BUCKET: "outrider-releases" },
  });
  const verifier = { ...box, ...fromTheDocs("gpu-service/verify/main.ts") };
  expect(readVerifierConfig(verifier).linkKeys).toEqual([SECRETS.link]);
  // None is there for nothing: without any of them one of the two does not start as it should.
  for (const name of Object.keys(box)) {
    const { [name]: _, ...rest } = box;
    const needs = { ...rest, ...fromTheDocs("gpu-service/training/main.ts") };
    const isMissed = () => {
      const without = parseTrainingConfig(needs);
      if (!without.ok || without.value.TRAINING_TOKEN === undefined) return true;
      try {
        readVerifierConfig({ ...rest, ...fromTheDocs("gpu-service/verify/main.ts") });
        return false;
      } catch {
        return true;
      }
    };
    expect(isMissed(), name).toBe(true);
  }
});

test("the GPU box gets the same secrets as the worker, one a line", () => {
  const box = boxVariables(settings(), SECRETS, "outrider-releases", "account-1");
  expect(box).toMatchObject({
    LINK_KEYS: JSON.stringify([SECRETS.link]),
    TRAINING_TOKEN: SECRETS.training,
    EDGE_URL: "https://api.example.org",
    VERIFIER_URL: "wss://a.example.org",
    S3_ENDPOINT: "https://account-1.r2.cloudflarestorage.com",
    S3_BUCKET: "outrider-releases",
  });
  expect(envFile(box).split("\n")).toHaveLength(Object.keys(box).length + 1);
});
