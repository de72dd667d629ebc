/** Everything that changes what the edge serves: used by finished jobs, by the start script and by the release commands. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { ChannelChange } from "../../protocol/channel-change.ts";
import {
  type DraftManifest,
  draftManifestSchema,
  draftObjectKey,
  openEnvelope,
  sha256Hex,
} from "../../protocol/manifest.ts";
import type { PublishingConfig } from "../config.ts";
import { Bucket } from "./bucket.ts";
import { Channels } from "./channels.ts";
import { publishDraft, readDraftFolder } from "./draft-release.ts";
import { PublishError } from "./errors.ts";
import { collectGarbage, type Garbage, type GarbageOptions } from "./garbage.ts";
import { parseEnvelope } from "./immutable.ts";
import { openSigningKeys, type SigningKeys } from "./signing-keys.ts";
import { publishTarget } from "./target-assets.ts";
import { type Finding, verifyReleases } from "./verification.ts";

type DraftFiles = Record<"model.draft" | "tokenizer.json", Uint8Array<ArrayBuffer>>;

export class Publisher {
  readonly channels: Channels;
  readonly #bucket: Bucket;
  readonly #keys: SigningKeys;

  constructor(bucket: Bucket, channels: Channels, keys: SigningKeys) {
    this.#bucket = bucket;
    this.channels = channels;
    this.#keys = keys;
  }

  /** A finished job's folder, published as `id`; `channel` makes it current too. */
  async publishJob(
    folder: string,
    id: string,
    wish: "canary" | "channel" = "channel",
    signal?: AbortSignal,
  ): Promise<void> {
    const published = await publishDraft(this.#bucket, this.#keys, await readDraftFolder(folder, id), signal);
    if (wish === "channel") await this.channels.promote(published, { ...(signal && { signal }) });
  }

  /** A release from disk under its own id; made current only where the target has none yet. */
  async importRelease(folder: string): Promise<{ id: string; promoted: boolean }> {
    const published = await publishDraft(this.#bucket, this.#keys, await readDraftFolder(folder));
    return { id: published.id, promoted: await this.channels.promote(published, { onlyFirst: true }) };
  }

  importTarget(folder: string): Promise<string> {
    return publishTarget(this.#bucket, this.#keys, folder);
  }

  /** Makes a release that is in the bucket current. */
  async promote(id: string): Promise<boolean> {
    const { manifest, manifestSha256 } = await this.show(id);
    return this.channels.promote({ id, target: manifest.target, manifestSha256 });
  }

  /** Ids of all whole releases, in alphabetical order. */
  async list(): Promise<string[]> {
    const keys = await this.#bucket.list("drafts/");
    return keys.flatMap((key) => /^drafts\/([^/]+)\/manifest\.json$/.exec(key)?.[1] ?? []).sort();
  }

  /** A release's manifest, its signature checked. */
  async show(id: string): Promise<{ manifest: DraftManifest; manifestSha256: string; keyId: string }> {
    const key = draftObjectKey(id, "manifest.json");
    const bytes = await this.#bucket.read(key);
    if (!bytes) throw new PublishError(`${key}: there is no such release`);
    const envelope = parseEnvelope(bytes);
    const opened = await openEnvelope("manifest", envelope ?? null, this.#keys.trusted, draftManifestSchema);
    if (!opened.ok) throw new PublishError(`${key}: ${opened.message}`);
    return { manifest: opened.value, manifestSha256: await sha256Hex(bytes), keyId: envelope?.key_id ?? "" };
  }

  /** Puts the image of the target's current release into a folder, checked; null where there is none. */
  async fetchCurrent(target: string, folder: string): Promise<string | null> {
    const id = (await this.channels.read(target))?.current.release;
    if (id === undefined) return null;
    const { files } = await this.readRelease(id);
    await writeFile(join(folder, "model.draft"), files["model.draft"]);
    return id;
  }

  /** A release's files, checked against its signed manifest. */
  async readRelease(id: string): Promise<{ target: string; files: DraftFiles }> {
    const { manifest } = await this.show(id);
    const read = async (name: keyof DraftFiles) => {
      const key = draftObjectKey(id, name);
      const bytes = await this.#bucket.read(key);
      if (!bytes || (await sha256Hex(bytes)) !== manifest.files[name].sha256) {
        throw new PublishError(`${key}: ${bytes ? "is not the file that its manifest names" : "is missing"}`);
      }
      return bytes;
    };
    const files = {
      "model.draft": await read("model.draft"),
      "tokenizer.json": await read("tokenizer.json"),
    };
    return { target: manifest.target, files };
  }

  /** What the worker's chain asks for. Throws PublishError where it cannot be done. */
  async changeChannel(target: string, change: ChannelChange): Promise<void> {
    if (change.action === "end-canary") {
      await this.channels.endCanary(target, change.release);
      return;
    }
    const { manifest, manifestSha256 } = await this.show(change.release);
    if (manifest.target !== target)
      throw new PublishError(`release ${change.release}: drafts for ${manifest.target}, not for ${target}`);
    const release = { id: change.release, target, manifestSha256 };
    if (change.action === "canary") await this.channels.startCanary(release, change.share);
    else await this.channels.promote(release, { onlyCanary: true });
  }

  /** Releases, leftovers of releases, and the channels that name them. */
  verify(target: string): Promise<Finding[]> {
    const { channels } = this;
    return verifyReleases({ bucket: this.#bucket, channels, trusted: this.#keys.trusted }, target);
  }

  collectGarbage(options: GarbageOptions): Promise<Garbage[]> {
    return collectGarbage({ bucket: this.#bucket, channels: this.channels }, options);
  }

  close(): void {
    this.#bucket.close();
  }
}

export async function openPublisher(config: PublishingConfig): Promise<Publisher> {
  const keys = await openSigningKeys(config.KEYS_DIR);
  const bucket = new Bucket(config);
  const { EDGE_URL, ADMIN_SECRET } = config;
  const isWhole = async (id: string) => (await bucket.read(draftObjectKey(id, "manifest.json"))) !== null;
  return new Publisher(bucket, new Channels({ EDGE_URL, ADMIN_SECRET, keys, isWhole }), keys);
}
