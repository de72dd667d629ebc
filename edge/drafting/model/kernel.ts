/** The exports of draft.wasm (edge/drafting/kernel/kernel.ts). Addresses are bytes into its memory. */
export type Kernel = {
  readonly memory: WebAssembly.Memory;
  heapStart(): number;
  blockTokens(): number;
  pagePositions(): number;
  descriptionBytes(layers: number): number;
  place(at: number, layers: number): void;
  describeShape(
    model: number,
    hidden: number,
    heads: number,
    kvHeads: number,
    headDim: number,
    ffn: number,
    normEps: number,
    positions: number,
  ): void;
  describeEnds(
    model: number,
    embedding: number,
    embeddingBits: number,
    vocabulary: number,
    finalNorm: number,
    head: number,
    headBits: number,
    headRows: number,
    headIds: number,
    rope: number,
  ): void;
  describeLayer(
    model: number,
    index: number,
    attentionNorm: number,
    qkv: number,
    qkvBits: number,
    output: number,
    outputBits: number,
    mlpNorm: number,
    gateUp: number,
    gateUpBits: number,
    down: number,
    downBits: number,
  ): void;
  placeScratchOf(model: number, at: number): number;
  pageBytesOf(model: number): number;
  tokensOf(model: number): number;
  pagesOf(model: number): number;
  logitsOf(model: number): number;
  choiceOf(model: number): number;
  embed(model: number, count: number): void;
  layer(model: number, index: number, count: number, position: number): void;
  lastLayer(model: number, count: number, position: number, draws: boolean): void;
  logits(model: number, token: number): void;
  draw(model: number, temperature: number, seedLow: number, seedHigh: number, position: number): void;
  noise(seedLow: number, seedHigh: number, position: number, token: number): number;
};

/** Instantiates the kernel. Once per isolate: a second instance would be a second memory. */
export function instantiate(module: WebAssembly.Module): Kernel {
  const abort = () => {
    throw new Error("draft kernel aborted");
  };
  return new WebAssembly.Instance(module, { env: { abort } }).exports as unknown as Kernel;
}
