/** The account's resources: made, or found where they are already. Every call may be done again. */
import { z } from "zod";
import type { Resources } from "./wrangler-file.ts";

export type Ran = { code: number; stdout: string; stderr: string };
/** Runs wrangler with these arguments; `input`: what it reads. */
export type Wrangler = (args: readonly string[], input?: string) => Promise<Ran>;

const ALREADY = /already (exists|taken|own)|\b(10004|11009)\b/i;
const databasesSchema = z.array(z.object({ name: z.string(), uuid: z.string() }));

export async function ensureResources(
  wrangler: Wrangler,
  { buckets, databases, queues }: Resources,
  say: (line: string) => void,
): Promise<{ databaseId: string }> {
  for (const bucket of buckets) await ensure(wrangler, ["r2", "bucket", "create", bucket], say);
  for (const queue of queues) await ensure(wrangler, ["queues", "create", queue], say);
  const [database] = databases;
  if (database === undefined) throw new Error("wrangler.toml names no database");
  return { databaseId: await ensureDatabase(wrangler, database, say) };
}

async function ensureDatabase(
  wrangler: Wrangler,
  name: string,
  say: (line: string) => void,
): Promise<string> {
  const find = async () => {
    const { stdout } = await must(wrangler, ["d1", "list", "--json"]);
    return databasesSchema.parse(JSON.parse(stdout)).find((one) => one.name === name)?.uuid;
  };
  const known = await find();
  if (known !== undefined) {
    say(`d1 ${name}: found`);
    return known;
  }
  await ensure(wrangler, ["d1", "create", name], say);
  const made = await find();
  if (made === undefined) throw new Error(`d1 ${name}: made, but the account does not list it`);
  return made;
}

async function ensure(
  wrangler: Wrangler,
  args: readonly string[],
  say: (line: string) => void,
): Promise<void> {
  const what = args.filter((arg) => arg !== "create").join(" ");
  const ran = await wrangler(args);
  if (ran.code === 0) return say(`${what}: made`);
  if (ALREADY.test(`${ran.stdout}${ran.stderr}`)) return say(`${what}: found`);
  throw failure(args, ran);
}

/** Throws with wrangler's own words where it fails. */
export async function must(wrangler: Wrangler, args: readonly string[], input?: string): Promise<Ran> {
  const ran = await wrangler(args, input);
  if (ran.code !== 0) throw failure(args, ran);
  return ran;
}

const failure = (args: readonly string[], { code, stdout, stderr }: Ran): Error =>
  new Error(`wrangler ${args.join(" ")} ended with ${code}:\n${stdout}${stderr}`);
