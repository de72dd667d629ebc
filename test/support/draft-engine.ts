/** Draft engines in Node, from images made in tests. */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import {
  type DraftEngine,
  DraftMemory,
  type EngineOptions,
  type Hasher,
  loadDraft,
} from "../../edge/drafting/model/index.ts";
import { buildKernel } from "../../infra/build/kernel.ts";

const BUILD = join(import.meta.dirname, "../../edge/drafting/kernel/build");
// The Workers' types know no way to make a module from bytes, because workerd has none.
const NodeModule = WebAssembly.Module as unknown as new (bytes: Uint8Array) => WebAssembly.Module;
export type KernelBuild = "draft.wasm" | "draft-simd.wasm";

/** The compiled kernel; builds it if the sources changed. */
export async function kernelModule(build: KernelBuild = "draft-simd.wasm"): Promise<WebAssembly.Module> {
  await buildKernel();
  return new NodeModule(await readFile(join(BUILD, build)));
}

export function nodeHasher(): Hasher {
  const hash = createHash("sha256");
  return {
    update: (bytes) => {
      hash.update(bytes);
    },
    hex: () => hash.digest("hex"),
  };
}

export const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

/** A byte stream as R2 gives it: readable with a BYOB reader. */
export function streamOf(bytes: Uint8Array, chunkBytes = 5000): ReadableStream<Uint8Array> {
  let at = 0;
  return new ReadableStream({
    type: "bytes",
    pull(controller) {
      if (at < bytes.length) {
        controller.enqueue(bytes.slice(at, at + chunkBytes));
        at += chunkBytes;
      } else {
        controller.close();
        controller.byobRequest?.respond(0);
      }
    },
  }) as ReadableStream<Uint8Array>;
}

const NO_PAUSE = { pause: async () => {} };

/** An engine on its own memory; throws if the image does not load. */
export async function engineOf(
  image: Uint8Array,
  options: Partial<EngineOptions> = {},
  build?: KernelBuild,
): Promise<DraftEngine> {
  const memory = new DraftMemory(await kernelModule(build), 256 << 20);
  const file = { bytes: image.length, sha256: sha256(image) };
  const loaded = await loadDraft(memory, streamOf(image), file, nodeHasher, { ...NO_PAUSE, ...options });
  if (!loaded.ok) throw new Error(`${loaded.error.code}: ${loaded.error.message}`);
  return loaded.engine;
}
