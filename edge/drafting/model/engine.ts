/**
 * A draft model ready to draft: its image in linear memory, described to the kernel, with one KV pool that all its
 * sequences share. Only index.ts's loadDraft() makes one, after the image's digest matched.
 */
import { describe } from "./describe.ts";
import type { ImageHeader } from "./header.ts";
import type { Kernel } from "./kernel.ts";
import type { DraftMemory, Region } from "./memory.ts";
import { PagePool } from "./pages.ts";
import type { Pass } from "./pass.ts";
import { Sequence } from "./sequence.ts";
import { layerMacs } from "./shape.ts";
import { Turns } from "./turns.ts";

export type EngineOptions = {
  /** Positions of the KV pool, shared by all sequences. */
  readonly poolPositions: number;
  /** The newest ids of a long text that a sequence prefills; older ones are left out. */
  readonly window: number;
  /** The newest ids of a long text that a first draft looks at, before the whole window is prefilled. */
  readonly firstWindow: number;
  /** Multiply-adds of all sequences after which work yields: two ids of a small draft, 2 to 5 ms. Clocks stand still in an isolate, so none is asked. */
  readonly sliceMacs: number;
  /** Lets other events of the isolate run: a macrotask. */
  readonly pause: () => Promise<void>;
};
export const DEFAULT_OPTIONS: EngineOptions = {
  poolPositions: 2048,
  window: 256,
  firstWindow: 64,
  sliceMacs: 40e6,
  pause: () => new Promise((resolve) => setTimeout(resolve, 0)),
};

export type NoMemory = { readonly code: "no_memory"; readonly message: string };

export class DraftEngine {
  readonly header: ImageHeader;
  readonly options: EngineOptions;
  readonly memory: DraftMemory;
  readonly kernel: Kernel;
  /** Address of the model's description. */
  readonly model: number;
  readonly pages: PagePool;
  /** The longest that a sequence's window may grow to, in positions. */
  readonly maxPositions: number;
  /** Who may work for how long before the event loop turns. */
  readonly turns: Turns;
  /** The pass under way, if a slice ended inside one. Whoever works next moves it on, whosever it is. */
  current: Pass | undefined;
  readonly #regions: readonly Region[];
  #openSequences = 0;
  #retired = false;
  #closed = false;

  /** Takes over the region that holds the image. On failure the image's region is given back too. */
  static create(
    memory: DraftMemory,
    image: Region,
    header: ImageHeader,
    options: EngineOptions,
  ): DraftEngine | NoMemory {
    const regions = [image];
    const take = (bytes: number): number => {
      const region = memory.take(bytes);
      if (!region) throw new MemoryLimit(bytes);
      regions.push(region);
      return region.at;
    };
    try {
      const maxPositions = Math.min(header.shape.context, options.poolPositions);
      const model = describe(memory, image.at, header, maxPositions, take);
      const pageBytes = memory.kernel.pageBytesOf(model);
      const pageCount = Math.floor(options.poolPositions / memory.kernel.pagePositions());
      const pages = new PagePool(take(pageBytes * pageCount), pageBytes, pageCount);
      return new DraftEngine(memory, model, header, options, pages, maxPositions, regions);
    } catch (fault) {
      for (const region of regions) memory.give(region);
      if (!(fault instanceof MemoryLimit)) throw fault;
      return { code: "no_memory", message: `${fault.bytes} more bytes do not fit ${memory.limitBytes}` };
    }
  }

  private constructor(
    memory: DraftMemory,
    model: number,
    header: ImageHeader,
    options: EngineOptions,
    pages: PagePool,
    maxPositions: number,
    regions: readonly Region[],
  ) {
    this.memory = memory;
    this.kernel = memory.kernel;
    this.model = model;
    this.header = header;
    this.options = options;
    this.pages = pages;
    this.maxPositions = maxPositions;
    this.turns = new Turns(options.sliceMacs, options.pause);
    this.#regions = regions;
  }

  /** Tokens per pass of a prefill, chosen so that one layer of it stays within a turn. */
  get blockTokens(): number {
    const fitting = Math.max(1, Math.floor(this.turns.share / layerMacs(this.header.shape)));
    // Products take four tokens at a time.
    return Math.min(this.kernel.blockTokens(), fitting < 4 ? fitting : fitting & ~3);
  }

  /**
   * Opens a sequence with no ids. It holds nothing of the pool until its first work. With a `tenant` it shares what
   * it computes with that tenant's later sequences.
   */
  open(tenant?: string): Sequence {
    if (this.#closed) throw new Error("this draft engine is closed");
    this.#openSequences++;
    return new Sequence(this, tenant);
  }
  /** A sequence tells that it closed. */
  release(): void {
    this.#openSequences--;
    if (this.#retired && this.#openSequences === 0) this.close();
  }
  /** Closes the engine once its sequences are closed. */
  retire(): void {
    this.#retired = true;
    if (this.#openSequences === 0) this.close();
  }
  get closed(): boolean {
    return this.#closed;
  }

  /** Gives the engine's memory back. Its sequences draft nothing from now on. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.current = undefined;
    for (const region of this.#regions) this.memory.give(region);
  }

  /** Logits of the last pass that asked for them, one per head row; a view that the next work overwrites. */
  logits(): Float32Array {
    return new Float32Array(
      this.kernel.memory.buffer,
      this.kernel.logitsOf(this.model),
      this.header.head.rows,
    );
  }
}

class MemoryLimit extends Error {
  readonly bytes: number;
  constructor(bytes: number) {
    super("memory limit");
    this.bytes = bytes;
  }
}
