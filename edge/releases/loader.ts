/**
 * The draft release in this isolate: which one the channel names, loaded beside or over the one before it.
 *
 * A request never waits for it and never fails for it: without a good release there are no model drafts, and the
 * reason is logged and shown in the request's details. A loaded image is used only once its digest has matched.
 */
import { type DraftManifest, draftObjectKey } from "../../gpu-service/protocol/manifest.ts";
import { DraftEngine, DraftMemory, digestStreamHasher, loadDraft } from "../drafting/model/index.ts";
import { readStored } from "./stored.ts";
import { type ReleaseSource, readManifest, wantedRelease } from "./wanted.ts";

export type Release = { readonly id: string; readonly engine: DraftEngine };
/** What a request is told: the release it began with, or why there is none. */
export type DraftState = { release: string | null; note: string | null };
const LOOK_INTERVAL_MS = 5_000;
/** A look that takes longer was part of a request that the runtime has ended: it will never settle. */
const LOOK_TIMEOUT_MS = 60_000;
/** A release that could not be loaded is tried again after this, then after twice as long, up to the most. */
const RETRY_INTERVAL_MS = { first: 60_000, most: 3_600_000 };
/** Most linear memory for drafts: an isolate has 128 MB for everything. */
const MEMORY_LIMIT_BYTES = 88e6;
/** A big image leaves room for a small pool only. */
const BIG_IMAGE_BYTES = 40e6;
const POOL_POSITIONS = { big: 512, small: 2048 };

export class ReleaseLoader {
  readonly #memory: DraftMemory;
  #loaded: { manifest: DraftManifest; manifestSha256: string; engine: DraftEngine } | undefined;
  /** Releases before it whose requests may still draft. */
  #retired: DraftEngine[] = [];
  #note: string | null = "no draft release is loaded yet";
  /** A try in place of the release before interrupts its drafts: it must not come every minute. */
  #failed: { manifestSha256: string; waitMs: number; retryAt: number } | undefined;
  #lookAgainAt = 0;
  #looking: Promise<void> | undefined;
  #giveUpAt = 0;

  /** `kernel`: the compiled draft.wasm. Made once per isolate. */
  constructor(kernel: WebAssembly.Module, limitBytes = MEMORY_LIMIT_BYTES) {
    this.#memory = new DraftMemory(kernel, limitBytes);
  }

  get release(): Release | undefined {
    return this.#loaded && { id: this.#loaded.manifest.id, engine: this.#loaded.engine };
  }

  get state(): DraftState {
    return this.#loaded
      ? { release: this.#loaded.manifest.id, note: null }
      : { release: null, note: this.#note };
  }

  /** Looks at the channel if the last look is old. The promise never rejects; it must outlive the request. */
  look(source: ReleaseSource): Promise<void> {
    if (this.#looking && Date.now() < this.#giveUpAt) return this.#looking;
    if (Date.now() < this.#lookAgainAt) return Promise.resolve();
    this.#lookAgainAt = Date.now() + LOOK_INTERVAL_MS;
    this.#giveUpAt = Date.now() + LOOK_TIMEOUT_MS;
    const looking = this.#refresh(source)
      .catch((error: unknown) => this.#tell(error instanceof Error ? error.message : String(error)))
      .finally(() => {
        if (this.#looking === looking) this.#looking = undefined;
      });
    this.#looking = looking;
    return looking;
  }

  async #refresh(source: ReleaseSource): Promise<void> {
    const target = await source.target();
    const wanted = await wantedRelease(source, target);
    if (!wanted) return this.#tell(`channel ${target.id}: names no release yet`);
    const { manifest_sha256 } = wanted;
    if (this.#loaded?.manifestSha256 === manifest_sha256) return;
    const failed = this.#failed?.manifestSha256 === manifest_sha256 ? this.#failed : undefined;
    if (failed && Date.now() < failed.retryAt) return;
    try {
      const manifest = await readManifest(source, wanted, target);
      await this.#replace(source, manifest, manifest_sha256);
      this.#failed = undefined;
      console.log(JSON.stringify({ level: "info", message: "draft release loaded", release: manifest.id }));
    } catch (error) {
      const { first, most } = RETRY_INTERVAL_MS;
      const waitMs = failed ? Math.min(2 * failed.waitMs, most) : first;
      this.#failed = { manifestSha256: manifest_sha256, waitMs, retryAt: Date.now() + waitMs };
      throw error;
    }
  }

  /** Loads beside the releases in use where memory allows, otherwise over old ones or the present one; a failure brings the old one back. */
  async #replace(source: ReleaseSource, manifest: DraftManifest, manifestSha256: string): Promise<void> {
    const before = this.#loaded;
    let engine: DraftEngine | "no_memory" | Error = await this.#load(source, manifest);
    if (engine === "no_memory" && this.#retired.some((one) => !one.closed)) {
      this.#closeRetired();
      engine = await this.#load(source, manifest);
    }
    if (engine === "no_memory" && before) {
      before.engine.close();
      this.#loaded = undefined;
      engine = await this.#load(source, manifest).catch((error: Error) => error);
      if (!(engine instanceof DraftEngine))
        await this.#restore(source, before.manifest, before.manifestSha256);
    }
    if (engine instanceof Error) throw engine;
    if (engine === "no_memory")
      throw new Error(`release ${manifest.id}: does not fit ${this.#memory.limitBytes} bytes`);
    const last = this.#loaded;
    this.#loaded = { manifest, manifestSha256, engine };
    if (!last) return;
    // Requests that began with it draft on with it.
    last.engine.retire();
    this.#retired = [...this.#retired, last.engine].filter((one) => !one.closed);
  }

  #closeRetired(): void {
    for (const engine of this.#retired) engine.close();
    this.#retired = [];
  }

  async #restore(source: ReleaseSource, manifest: DraftManifest, manifestSha256: string): Promise<void> {
    const engine = await this.#load(source, manifest);
    if (engine !== "no_memory") this.#loaded = { manifest, manifestSha256, engine };
  }

  async #load(source: ReleaseSource, manifest: DraftManifest): Promise<DraftEngine | "no_memory"> {
    const key = draftObjectKey(manifest.id, "model.draft");
    const file = manifest.files["model.draft"];
    const poolPositions = file.bytes > BIG_IMAGE_BYTES ? POOL_POSITIONS.big : POOL_POSITIONS.small;
    const result = await readStored(
      { bucket: source.bucket, key, sha256: file.sha256 },
      (body) => loadDraft(this.#memory, body, file, digestStreamHasher, { poolPositions }),
      (loaded) => loaded.ok || loaded.error.code === "no_memory",
    );
    if (result.ok) return result.engine;
    if (result.error.code === "no_memory") return "no_memory";
    throw new Error(`${key}: ${result.error.message}`);
  }

  #tell(note: string): void {
    if (note !== this.#note)
      console.warn(JSON.stringify({ level: "warn", message: "no new draft release", note }));
    this.#note = note;
  }
}
