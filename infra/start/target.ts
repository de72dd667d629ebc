/** What a system serves: a target, and the draft that ships for it. */
import { existsSync } from "node:fs";
import { basename, join } from "node:path";
import { ensureDefaultModel } from "../models/default-model.ts";
import { bindDraft, ensurePaddedTarget } from "../models/padded-target.ts";
import { DEFAULT_FORMAT, FORMATS, type Format, TINY_FORMAT } from "../models/pins.ts";
import { ensureTinyModel } from "../models/tiny-model.ts";
import { StartError } from "./errors.ts";
import { type DataFolder, ROOT } from "./paths.ts";

/** `padded`: for benchmarks only. */
export type TargetName = "smollm2" | "padded" | "tiny";

export type PreparedTarget = {
  id: string;
  /** The converted target. */
  folder: string;
  format: string;
  /** Folder of the draft release that ships in the repository; undefined: none. */
  draft: string | undefined;
};

/**
 * Fetches and converts what is missing.
 * `orTiny`: where that cannot be done (no network, no fitting Python), says why and prepares the tiny target instead.
 */
export async function prepareTarget(
  name: TargetName,
  data: DataFolder,
  say: (line: string) => void,
  orTiny = false,
): Promise<PreparedTarget> {
  if (name === "tiny") return prepareTiny(data);
  const format = readFormat(process.env.FORMAT ?? DEFAULT_FORMAT);
  if (name === "padded") return preparePadded(data, format, say);
  try {
    const folder = await ensureDefaultModel(data, [format], say);
    return { id: basename(folder), folder, format, draft: shippedDraft(name) };
  } catch (error) {
    if (!orTiny || !(error instanceof StartError)) throw error;
    say(error.message);
    say("Going on with the tiny model: it shows that everything works, its text means nothing.");
    return prepareTiny(data);
  }
}

function readFormat(name: string): Format {
  const format = FORMATS.find((one) => one === name);
  if (!format) throw new StartError(`FORMAT=${name}: expected ${FORMATS.join(", ")}`);
  return format;
}

async function preparePadded(
  data: DataFolder,
  format: Format,
  say: (line: string) => void,
): Promise<PreparedTarget> {
  const folder = await ensurePaddedTarget(data, format, say);
  const release = shippedDraft("smollm2");
  return { id: basename(folder), folder, format, draft: release && (await bindDraft(data, release)) };
}

async function prepareTiny(data: DataFolder): Promise<PreparedTarget> {
  const folder = await ensureTinyModel(data);
  return { id: basename(folder), folder, format: TINY_FORMAT, draft: shippedDraft("tiny") };
}

function shippedDraft(name: "smollm2" | "tiny"): string | undefined {
  const folder = join(ROOT, "infra/models", name, "draft");
  return existsSync(join(folder, "manifest.unsigned.json")) ? folder : undefined;
}
