/** Whether what lies in the bucket and what the channels name is whole: `npm run releases -- verify`. */
import {
  type DraftManifest,
  draftManifestSchema,
  draftObjectKey,
  openEnvelope,
  sha256Hex,
  type TrustedKey,
} from "../../protocol/manifest.ts";
import type { Bucket } from "./bucket.ts";
import type { Channels } from "./channels.ts";
import { PublishError } from "./errors.ts";
import { parseEnvelope } from "./immutable.ts";

const FILES = ["model.draft", "tokenizer.json"] as const;

/** `what`: a release or a channel. No problems: it is whole. */
export type Finding = { what: string; problems: string[] };
type Checked = Finding & { id: string; manifest: DraftManifest | null; manifestSha256: string | null };

export type VerificationParts = { bucket: Bucket; channels: Channels; trusted: readonly TrustedKey[] };

/** Every release that has a manifest, every folder that has none, and the channels of their targets and of `target`. */
export async function verifyReleases(parts: VerificationParts, target: string): Promise<Finding[]> {
  const ids = await releaseIds(parts.bucket);
  const checked: Checked[] = [];
  for (const id of ids) checked.push(await checkRelease(parts, id));
  const targets = new Set([target, ...checked.flatMap(({ manifest }) => manifest?.target ?? [])]);
  const channels: Finding[] = [];
  for (const one of targets) channels.push(await checkChannel(parts, one, checked));
  return [...checked.map(({ what, problems }) => ({ what, problems })), ...channels];
}

/** Ids under which anything lies, in alphabetical order. */
export async function releaseIds(bucket: Bucket): Promise<string[]> {
  const keys = await bucket.list("drafts/");
  return [...new Set(keys.flatMap((key) => /^drafts\/([^/]+)\//.exec(key)?.[1] ?? []))].sort();
}

async function checkRelease({ bucket, trusted }: VerificationParts, id: string): Promise<Checked> {
  const found = (problems: string[], manifest: DraftManifest | null = null, sha: string | null = null) => ({
    ...{ id, what: `release ${id}`, problems, manifest, manifestSha256: sha },
  });
  const bytes = await bucket.read(draftObjectKey(id, "manifest.json"));
  if (!bytes) return found(["has no manifest: it was never published whole (gc removes it)"]);
  const sha256 = await sha256Hex(bytes);
  const opened = await openEnvelope("manifest", parseEnvelope(bytes) ?? null, trusted, draftManifestSchema);
  if (!opened.ok) return found([opened.message], null, sha256);
  const manifest = opened.value;
  const problems = manifest.id === id ? [] : [`its manifest is that of ${manifest.id}`];
  for (const name of FILES) {
    const file = await bucket.read(draftObjectKey(id, name));
    const { sha256: wanted, bytes: size } = manifest.files[name];
    if (!file) problems.push(`${name} is missing`);
    else if (file.length !== size || (await sha256Hex(file)) !== wanted) {
      problems.push(`${name} is not the file that its manifest names`);
    }
  }
  return found(problems, manifest, sha256);
}

async function checkChannel(
  { channels }: VerificationParts,
  target: string,
  releases: readonly Checked[],
): Promise<Finding> {
  const problems: string[] = [];
  try {
    const record = await channels.read(target);
    for (const role of ["current", "canary", "previous"] as const) {
      const named = record?.[role];
      if (!named) continue;
      const release = releases.find(({ id }) => id === named.release);
      const problem = problemOf(release, named.manifest_sha256, target);
      if (problem !== null) problems.push(`${role} is ${named.release}, which ${problem}`);
    }
  } catch (error) {
    if (!(error instanceof PublishError)) throw error;
    problems.push(error.message);
  }
  return { what: `channel ${target}`, problems };
}

function problemOf(release: Checked | undefined, manifestSha256: string, target: string): string | null {
  if (!release) return "is not in the bucket";
  if (release.problems.length > 0) return "is not whole";
  if (release.manifestSha256 !== manifestSha256) return "has another manifest than the channel names";
  return release.manifest?.target === target ? null : `is for ${release.manifest?.target}`;
}
