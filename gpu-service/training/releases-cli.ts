/** `npm run releases -- list | show | import | canary | end-canary | promote | rollback | verify | gc`. */
import { parseArgs } from "node:util";
import { parsePublishingConfig } from "./config.ts";
import { PublishError } from "./publish/errors.ts";
import { openPublisher, type Publisher } from "./publish/publisher.ts";

const DAYS_KEPT = 30;
const USAGE = `npm run releases -- COMMAND
  list [--target T]       every release in the bucket; the channel's own are marked
  show ID                 a release's manifest, its signature checked
  import FOLDER           publish a release that the trainer made by hand; current only where there is none yet
  canary ID --share S     let a release serve a share of the requests, 0 to 1, beside the current one
  end-canary [--target T] let the current release serve all requests again
  promote ID              make a release current
  rollback [--target T]   make the previous release current again
  verify [--target T]     check every release, file by file, and the channels that name them
  gc [--keep DAYS] [--dry-run]
                          remove what was never published whole and releases that no channel has named for DAYS (30)
T is the TARGET of the environment when absent.`;

const parsed = parsePublishingConfig(process.env);
if (!parsed.ok) exit(parsed.message);
const { positionals, values } = readArguments();
const publisher = await openPublisher(parsed.value);
try {
  const [command = "", id] = positionals;
  for (const line of await run(publisher, command, id)) console.log(line);
} catch (error) {
  if (error instanceof PublishError) exit(error.message);
  throw error;
} finally {
  publisher.close();
}

async function run(from: Publisher, command: string, id: string | undefined): Promise<string[]> {
  switch (command) {
    case "list":
      return list(from);
    case "show":
      return [JSON.stringify(await from.show(must(id, "ID")), null, 2)];
    case "import":
      return imported(await from.importRelease(must(id, "FOLDER")));
    case "canary":
      return [await startCanary(from, must(id, "ID"), Number(must(values.share, "--share")))];
    case "end-canary":
      return [(await from.channels.endCanary(target())) ? "the canary has ended" : "there was no canary"];
    case "promote":
      return [(await from.promote(must(id, "ID"))) ? `${id} is now current` : `${id} was current already`];
    case "rollback":
      await from.channels.rollback(target());
      return [`${(await from.channels.read(target()))?.current.release} is current again`];
    case "verify":
      return verify(from);
    case "gc":
      return collect(from);
    default:
      return exit(USAGE);
  }
}

function readArguments() {
  try {
    const text = { type: "string" } as const;
    const options = { target: text, share: text, keep: text, "dry-run": { type: "boolean" } } as const;
    return parseArgs({ allowPositionals: true, options });
  } catch (error) {
    return exit(`${error instanceof Error ? error.message : error}\n${USAGE}`);
  }
}

async function startCanary(from: Publisher, id: string, share: number): Promise<string> {
  const { manifest, manifestSha256 } = await from.show(id);
  const changed = await from.channels.startCanary({ id, target: manifest.target, manifestSha256 }, share);
  return changed ? `${id} serves a share of ${share}` : `${id} is current, or serves that share already`;
}

function imported({ id, promoted }: { id: string; promoted: boolean }): string[] {
  return [promoted ? `${id} is published and current` : `${id} is published, but not current`];
}

async function list(from: Publisher): Promise<string[]> {
  const channel = await from.channels.read(target());
  const roles = {
    [channel?.previous?.release ?? ""]: "previous",
    [channel?.canary?.release ?? ""]: `canary, share ${channel?.canary?.share}`,
    [channel?.current.release ?? ""]: "current",
  };
  const ids = await from.list();
  return ids.map((id) => `${id}${roles[id] ? `  (${roles[id]})` : ""}`);
}

/** Ends with exit status 1 where anything is wrong. */
async function verify(from: Publisher): Promise<string[]> {
  const findings = await from.verify(target());
  if (findings.some(({ problems }) => problems.length > 0)) process.exitCode = 1;
  return findings.map(({ what, problems }) => `${what}: ${problems.join("; ") || "whole"}`);
}

async function collect(from: Publisher): Promise<string[]> {
  const days = Number(values.keep ?? DAYS_KEPT);
  if (!(days >= 0)) return exit(`--keep ${values.keep}: is not a number of days\n${USAGE}`);
  const isDryRun = values["dry-run"] ?? false;
  const garbage = await from.collectGarbage({ nowMs: Date.now(), keepMs: days * 86_400_000, isDryRun });
  const done = isDryRun ? "would be removed" : "removed";
  const lines = garbage.map(({ id, why, bytes }) => `${id} ${why}: ${(bytes / 1e6).toFixed(1)} MB ${done}`);
  return lines.length ? lines : ["nothing to remove"];
}

function target(): string {
  return must(values.target ?? process.env.TARGET, "--target");
}

function must(value: string | undefined, name: string): string {
  return value ?? exit(`${name} is missing\n${USAGE}`);
}

function exit(message: string): never {
  console.error(message);
  process.exit(2);
}
