/**
 * The one linear memory of an isolate's draft models: regions are handed out in it, grown on demand up to a limit, and
 * given back, so that a new release can lie beside the old one or take its place.
 */
import { instantiate, type Kernel } from "./kernel.ts";

const PAGE_BYTES = 65536;
const ALIGN_BYTES = 64;
export const aligned = (at: number): number => Math.ceil(at / ALIGN_BYTES) * ALIGN_BYTES;

export type Region = { readonly at: number; readonly bytes: number };

export class DraftMemory {
  readonly kernel: Kernel;
  readonly limitBytes: number;
  /** Taken regions, lowest first. */
  readonly #regions: Region[] = [];

  /** `limitBytes`: the most that the memory may grow to. */
  constructor(module: WebAssembly.Module, limitBytes: number) {
    this.kernel = instantiate(module);
    this.limitBytes = limitBytes;
  }

  /** Bytes of linear memory now; it never shrinks. */
  get bytes(): number {
    return this.kernel.memory.buffer.byteLength;
  }

  /** The lowest free region of that size, zero-filled only where memory is new; undefined if the limit forbids it. */
  take(bytes: number): Region | undefined {
    let at = this.kernel.heapStart();
    let index = 0;
    for (const region of this.#regions) {
      if (region.at - at >= bytes) break;
      at = region.at + region.bytes;
      index++;
    }
    if (!this.#growTo(at + bytes)) return undefined;
    const region = { at, bytes: aligned(bytes) };
    this.#regions.splice(index, 0, region);
    return region;
  }

  /** Whether the region is taken still. */
  holds(region: Region): boolean {
    return this.#regions.includes(region);
  }

  give(region: Region): void {
    const index = this.#regions.indexOf(region);
    if (index < 0) throw new Error("this region is not taken");
    this.#regions.splice(index, 1);
  }

  /** A view that the next take() may detach. */
  view(at: number, bytes: number): Uint8Array {
    return new Uint8Array(this.kernel.memory.buffer, at, bytes);
  }

  #growTo(end: number): boolean {
    const missing = Math.ceil((aligned(end) - this.bytes) / PAGE_BYTES);
    if (missing <= 0) return true;
    if (this.bytes + missing * PAGE_BYTES > this.limitBytes) return false;
    try {
      this.kernel.memory.grow(missing);
      return true;
    } catch {
      return false;
    }
  }
}
