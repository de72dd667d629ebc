/** Draft images in the isolate's one linear memory: loaded side by side as far as its limit allows. */
import { type DraftManifest, draftObjectKey } from "../../gpu-service/protocol/manifest.ts";
import { type DraftEngine, DraftMemory, digestStreamHasher, loadDraft } from "../drafting/model/index.ts";
import { readStored } from "./stored.ts";

/** A big image leaves room for a small pool only. */
const BIG_IMAGE_BYTES = 40e6;
const POOL_POSITIONS = { big: 512, small: 2048 };

export class Shelf {
  readonly #memory: DraftMemory;
  /** Nobody begins with them any more, but requests that did may still draft. */
  #retired: DraftEngine[] = [];

  /** `kernel`: the compiled draft.wasm. */
  constructor(kernel: WebAssembly.Module, limitBytes: number) {
    this.#memory = new DraftMemory(kernel, limitBytes);
  }

  get limitBytes(): number {
    return this.#memory.limitBytes;
  }

  /** Loads beside what is there; what is retired makes room where that is needed. Throws an Error that names the object at fault. */
  async load(bucket: R2Bucket, manifest: DraftManifest): Promise<DraftEngine | "no_memory"> {
    const engine = await this.#loadBeside(bucket, manifest);
    if (engine !== "no_memory" || this.#retired.every(({ closed }) => closed)) return engine;
    for (const retired of this.#retired) retired.close();
    this.#retired = [];
    return this.#loadBeside(bucket, manifest);
  }

  /** The engine closes once the requests that draft with it have ended. */
  retire(engine: DraftEngine): void {
    engine.retire();
    this.#retired = [...this.#retired, engine].filter(({ closed }) => !closed);
  }

  async #loadBeside(bucket: R2Bucket, manifest: DraftManifest): Promise<DraftEngine | "no_memory"> {
    const key = draftObjectKey(manifest.id, "model.draft");
    const file = manifest.files["model.draft"];
    const poolPositions = file.bytes > BIG_IMAGE_BYTES ? POOL_POSITIONS.big : POOL_POSITIONS.small;
    const result = await readStored(
      { bucket, key, sha256: file.sha256 },
      (body) => loadDraft(this.#memory, body, file, digestStreamHasher, { poolPositions }),
      (loaded) => loaded.ok || loaded.error.code === "no_memory",
    );
    if (result.ok) return result.engine;
    if (result.error.code === "no_memory") return "no_memory";
    throw new Error(`${key}: ${result.error.message}`);
  }
}
