/** What is loaded, and as what it serves: the current release and, where both fit, a canary beside it. */
import type { ChannelRecord, DraftManifest } from "../../gpu-service/protocol/manifest.ts";
import { DraftEngine } from "../drafting/model/index.ts";
import { Shelf } from "./shelf.ts";

/** Not broken, but too big for the room there is. */
export class DoesNotFit extends Error {
  override name = "DoesNotFit";
}

export type Loaded = { manifest: DraftManifest; manifestSha256: string; engine: DraftEngine };
/** A release to load, from where, and whether it is still the one that is wanted. */
export type Wish = {
  bucket: R2Bucket;
  manifest: DraftManifest;
  manifestSha256: string;
  isWanted: () => boolean;
};

export class Roles {
  readonly #shelf: Shelf;
  #current: Loaded | undefined;
  #canary: Loaded | undefined;

  constructor(kernel: WebAssembly.Module, limitBytes: number) {
    this.#shelf = new Shelf(kernel, limitBytes);
  }

  get current(): Loaded | undefined {
    return this.#current;
  }
  get canary(): Loaded | undefined {
    return this.#canary;
  }

  /** What is loaded already takes its new role at once: a promotion and the end of a canary need no load. */
  take({ current, canary }: Pick<ChannelRecord, "current" | "canary">): void {
    if (this.#canary?.manifestSha256 === current.manifest_sha256) {
      if (this.#current) this.#shelf.retire(this.#current.engine);
      this.#current = this.#canary;
      this.#canary = undefined;
    }
    if (this.#canary && this.#canary.manifestSha256 !== canary?.manifest_sha256) {
      this.#shelf.retire(this.#canary.engine);
      this.#canary = undefined;
    }
  }

  /**
   * Loads beside the release in use where memory allows, otherwise in the canary's place, at last in its own; a failure
   * brings the old one back. Throws an Error that names the release.
   */
  async replaceCurrent(wish: Wish): Promise<void> {
    const { bucket, manifest, manifestSha256, isWanted } = wish;
    let engine: DraftEngine | "no_memory" | Error = await this.#shelf.load(bucket, manifest);
    if (engine === "no_memory" && this.#canary) {
      this.#canary.engine.close();
      this.#canary = undefined;
      engine = await this.#shelf.load(bucket, manifest);
    }
    const before = this.#current;
    if (engine === "no_memory" && before) {
      before.engine.close();
      this.#current = undefined;
      engine = await this.#shelf.load(bucket, manifest).catch((error: Error) => error);
      if (!(engine instanceof DraftEngine) && isWanted()) await this.#restore(bucket, before);
    }
    if (engine instanceof Error) throw engine;
    if (engine === "no_memory") throw this.#tooBig(manifest);
    if (!isWanted()) return engine.close();
    // Requests that began with it draft on with it.
    if (this.#current) this.#shelf.retire(this.#current.engine);
    this.#current = { manifest, manifestSha256, engine };
  }

  /** Loads beside the current release. Throws an Error that names the canary. */
  async loadCanary({ bucket, manifest, manifestSha256, isWanted }: Wish): Promise<void> {
    const engine = await this.#shelf.load(bucket, manifest);
    if (engine === "no_memory") throw this.#tooBig(manifest, ` beside ${this.#current?.manifest.id}`);
    if (!isWanted()) return engine.close();
    this.#canary = { manifest, manifestSha256, engine };
  }

  async #restore(bucket: R2Bucket, before: Loaded): Promise<void> {
    const engine = await this.#shelf.load(bucket, before.manifest);
    if (engine !== "no_memory") this.#current = { ...before, engine };
  }

  #tooBig = ({ id }: DraftManifest, where = ""): Error =>
    new DoesNotFit(`release ${id}: does not fit ${this.#shelf.limitBytes} bytes${where}`);
}
