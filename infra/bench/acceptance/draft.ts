/** A release's draft in the edge's own kernel, in Node, within the memory that a worker has for it. */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import {
  DEFAULT_OPTIONS,
  type DraftEngine,
  DraftMemory,
  loadDraft,
} from "../../../edge/drafting/model/index.ts";
import { buildKernel, KERNEL_BUILD } from "../../build/kernel.ts";
import { StartError } from "../../start/errors.ts";

/** What the worker gives its drafts. */
const LINEAR_MEMORY_BYTES = 88 * 2 ** 20;
// The Workers' types know no way to make a module from bytes, because workerd has none.
const NodeModule = WebAssembly.Module as unknown as new (bytes: Uint8Array) => WebAssembly.Module;

/** Nobody else waits for this thread. */
const pause = async () => {};

export type OpenDraft = { engine: DraftEngine; memoryBytes: number };

/**
 * Throws StartError that says why the image does not load. `poolPositions`: of keys and values; `window`: ids of a long
 * prompt that are read, the edge's own number when absent.
 */
export async function openDraft(
  image: string,
  poolPositions = 512,
  window: number = DEFAULT_OPTIONS.window,
): Promise<OpenDraft> {
  await buildKernel();
  const module = new NodeModule(await readFile(join(KERNEL_BUILD, "draft.wasm")));
  const bytes = await readFile(image).catch((error: Error) => {
    throw new StartError(`${image}: ${error.message}`);
  });
  const memory = new DraftMemory(module, LINEAR_MEMORY_BYTES);
  const file = { bytes: bytes.length, sha256: createHash("sha256").update(bytes).digest("hex") };
  const loaded = await loadDraft(memory, new Blob([bytes]).stream(), file, nodeHasher, {
    ...{ poolPositions, window, pause },
  });
  if (!loaded.ok) throw new StartError(`${image}: ${loaded.error.code}: ${loaded.error.message}`);
  return { engine: loaded.engine, memoryBytes: memory.bytes };
}

function nodeHasher() {
  const hash = createHash("sha256");
  return {
    update: (bytes: Uint8Array) => {
      hash.update(bytes);
    },
    hex: () => hash.digest("hex"),
  };
}
