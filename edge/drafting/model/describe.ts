/** Tells the kernel where a loaded image's tensors are, and gives it what it needs beside them. */
import type { ImageHeader } from "./header.ts";
import type { Kernel } from "./kernel.ts";
import type { DraftMemory } from "./memory.ts";
import { ropeTable } from "./rope.ts";
import { hasHeadTensor, type Tensor } from "./shape.ts";

/** `model`: the address of its description, which names it in every call of the kernel. */
export type Described = { readonly kernel: Kernel; readonly model: number; readonly header: ImageHeader };

/**
 * Describes the image at `imageAt` to the kernel. `take` gives memory for the description, the RoPE table over
 * `maxPositions` and scratch space. Returns the description's address.
 */
export function describe(
  memory: DraftMemory,
  imageAt: number,
  header: ImageHeader,
  maxPositions: number,
  take: (bytes: number) => number,
): number {
  const { kernel } = memory;
  const { shape, head } = header;
  const positions = Math.ceil(maxPositions / kernel.pagePositions()) * kernel.pagePositions();
  const find = (name: string) => header.tensors.get(name)!;
  const at = (name: string) => imageAt + find(name).offset;
  const bits = (tensor: Tensor) => (tensor.type === "int4" ? 4 : 8);

  const model = take(kernel.descriptionBytes(shape.layers));
  const rope = take(positions * shape.head_dim * 4);
  const table = ropeTable(header.rope, shape.head_dim, positions);
  new Float32Array(kernel.memory.buffer, rope, table.length).set(table);

  kernel.place(model, shape.layers);
  const { hidden, heads, kv_heads, head_dim, ffn } = shape;
  kernel.describeShape(model, hidden, heads, kv_heads, head_dim, ffn, header.normEps, positions);
  const headName = hasHeadTensor(head) ? "head" : "embedding";
  kernel.describeEnds(
    model,
    at("embedding"),
    bits(find("embedding")),
    shape.vocab,
    at("norm"),
    at(headName),
    bits(find(headName)),
    head.rows,
    head.short ? at("head_ids") : 0,
    rope,
  );
  for (let l = 0; l < shape.layers; l++) {
    const q = (name: string) => [at(`layers.${l}.${name}`), bits(find(`layers.${l}.${name}`))] as const;
    const attentionNorm = at(`layers.${l}.attention_norm`);
    const mlpNorm = at(`layers.${l}.mlp_norm`);
    kernel.describeLayer(
      model,
      l,
      attentionNorm,
      ...q("qkv"),
      ...q("output"),
      mlpNorm,
      ...q("gate_up"),
      ...q("down"),
    );
  }
  const scratch = take(kernel.placeScratchOf(model, 0));
  kernel.placeScratchOf(model, scratch);
  return model;
}
