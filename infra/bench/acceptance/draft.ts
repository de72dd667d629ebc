/** A release's draft in the edge's own kernel, in Node, within the memory that a worker has for it. */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { type DraftEngine, DraftMemory, loadDraft } from "../../../edge/drafting/model/index.ts";
import { buildKernel, KERNEL_BUILD } from "../../build/kernel.ts";
import { StartError } from "../../start/errors.ts";

/** What the worker gives its drafts. */
const LINEAR_MEMORY_BYTES = 88 * 2 ** 20;
const POOL_POSITIONS = 512;
// The Workers' types know no way to make a module from bytes, because workerd has none.
const NodeModule = WebAssembly.Module as unknown as new (bytes: Uint8Array) => WebAssembly.Module;

/** Nobody else waits for this thread. */
const pause = async () => {};

export type OpenDraft = {
  engine: DraftEngine;
  memoryBytes: number;
  /** The row of the logits that stands for an id; undefined where a short head knows it not. */
  rowOf: (id: number) => number | undefined;
};

/** Throws StartError that says why the image does not load. */
export async function openDraft(image: string): Promise<OpenDraft> {
  await buildKernel();
  const module = new NodeModule(await readFile(join(KERNEL_BUILD, "draft.wasm")));
  const bytes = await readFile(image).catch((error: Error) => {
    throw new StartError(`${image}: ${error.message}`);
  });
  const memory = new DraftMemory(module, LINEAR_MEMORY_BYTES);
  const file = { bytes: bytes.length, sha256: createHash("sha256").update(bytes).digest("hex") };
  const loaded = await loadDraft(memory, new Blob([bytes]).stream(), file, nodeHasher, {
    ...{ poolPositions: POOL_POSITIONS, pause },
  });
  if (!loaded.ok) throw new StartError(`${image}: ${loaded.error.code}: ${loaded.error.message}`);
  return { engine: loaded.engine, memoryBytes: memory.bytes, rowOf: rowsOf(loaded.engine, bytes) };
}

function rowsOf({ header }: DraftEngine, image: Buffer): OpenDraft["rowOf"] {
  const ids = header.tensors.get("head_ids");
  if (!ids) return (id) => (id < header.head.rows ? id : undefined);
  const rows = new Map<number, number>();
  for (let row = 0; row < header.head.rows; row++) rows.set(image.readUInt32LE(ids.offset + 4 * row), row);
  return (id) => rows.get(id);
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
