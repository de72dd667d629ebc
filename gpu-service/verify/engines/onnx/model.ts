/** A target in onnxruntime: one graph per batch width, all of one weight format, run on the calling thread. */
import { InferenceSession, type Tensor } from "onnxruntime-node";
import type { Cache, Owner, SlotRows, StepLogits, TargetModel } from "../../scheduler/model.ts";
import { Feeds } from "./feeds.ts";
import type { KvCache } from "./kv-cache.ts";
import { KvPool } from "./kv-pool.ts";
import type { Target } from "./target.ts";

type Graph = { slots: number; session: InferenceSession; feeds: Feeds };

export type ModelOptions = {
  /** Sequences in one step at most; graphs wider than needed are not loaded. */
  slots: number;
  threads: number;
  /** Positions at most, below the target's own context. */
  context: number;
  /** Bytes of keys and values kept of ended sequences, for prompts that begin alike. */
  retainedBytes: number;
};

export class OnnxModel implements TargetModel {
  readonly vocabSize: number;
  readonly context: number;
  readonly maxSlots: number;
  /** Set once the self-test has named the kernels. */
  numerics = "untested";
  readonly #graphs: Graph[];
  readonly #pool: KvPool;

  constructor(target: Target, graphs: Graph[], options: ModelOptions) {
    this.vocabSize = target.shape.vocab;
    this.context = Math.min(target.context, options.context);
    this.maxSlots = graphs[graphs.length - 1]!.slots;
    this.#graphs = graphs;
    const { layers, kvHeads, headDim } = target.shape;
    this.#pool = new KvPool(layers, kvHeads * headDim, this.maxSlots, options.retainedBytes);
  }

  openCache(owner?: Owner, room?: number): Cache {
    return this.#pool.open(owner, room);
  }

  get widths(): number[] {
    return this.#graphs.map((g) => g.slots);
  }

  /** Rejects if there are more slots than the widest graph has. */
  async run(slots: readonly SlotRows[]): Promise<StepLogits> {
    const graph = this.#graphs.find((g) => g.slots >= slots.length);
    if (!graph) throw new Error(`${slots.length} sequences in a step, ${this.maxSlots} at most`);
    const { feeds, rows, starts, logitStarts } = graph.feeds.pack(slots);
    const outputs = await graph.session.run(feeds);
    const newKeys = floats(outputs, "new_k");
    const newValues = floats(outputs, "new_v");
    const logits = floats(outputs, "logits");
    slots.forEach(({ cache, ids }, i) => {
      (cache as KvCache).append(newKeys, newValues, rows, starts[i]!, ids.length);
    });
    return {
      row: (slot, row) => {
        const at = (logitStarts[slot]! + row - slots[slot]!.firstLogitRow) * this.vocabSize;
        return logits.subarray(at, at + this.vocabSize);
      },
    };
  }
}

/** Loads the graphs that `slots` sequences need: every width up to the first that holds them all. */
export async function loadModel(target: Target, options: ModelOptions): Promise<OnnxModel> {
  const widest =
    target.graphs.find((g) => g.slots >= options.slots) ?? target.graphs[target.graphs.length - 1]!;
  const graphs: Graph[] = [];
  for (const { slots, path } of target.graphs.filter((g) => g.slots <= widest.slots)) {
    const session = await InferenceSession.create(path, {
      intraOpNumThreads: options.threads,
      interOpNumThreads: 1,
      executionMode: "sequential",
      // Shapes change with every step: a plan of the last step's memory does not fit the next.
      enableMemPattern: false,
      logSeverityLevel: 3,
      // A thread that spins while it waits takes the core from the rest of the machine.
      extra: { session: { intra_op: { allow_spinning: "0" } } },
    });
    graphs.push({ slots, session, feeds: new Feeds(slots, target.shape, session.inputNames) });
  }
  return new OnnxModel(target, graphs, options);
}

function floats(outputs: Record<string, Tensor>, name: string): Float32Array {
  const data = outputs[name]?.data;
  if (!(data instanceof Float32Array)) throw new Error(`graph: output ${name} is missing or not f32`);
  return data;
}
