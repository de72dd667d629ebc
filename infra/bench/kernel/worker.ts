/** The measuring half of `bench kernel`, inside workerd, where the clock advances during work when it runs locally. */
import {
  type DraftEngine,
  DraftMemory,
  digestStreamHasher,
  type ImageFile,
  loadDraft,
} from "../../../edge/drafting/model/index.ts";
import { ModelSource } from "../../../edge/drafting/model-source.ts";
import { serveStream } from "./delay.ts";
import type { BenchShape } from "./shapes.ts";

/** What `src/engine.mjs` of the folder given by --against exports, as far as it is used. */
export type Prototype = {
  Engine: new (
    module: WebAssembly.Module,
    shape: object,
    options: { bits: number; ctx: number },
  ) => {
    weights: Uint8Array;
    prefill(ids: readonly number[], position: number): number;
    draft(id: number, position: number, count: number): unknown;
  };
  randomWeights(weights: Uint8Array, shape: object, bits: number, seed: number): void;
};
type PrototypeModel = InstanceType<Prototype["Engine"]>;

export type Command =
  | { do: "load"; shape: BenchShape; file: ImageFile }
  | { do: "load prototype"; shape: BenchShape }
  | { do: "draft" | "prefill"; engine: "ours" | "prototype"; ms: number }
  | { do: "token by token"; ms: number }
  | { do: "first hint"; prompt: number };
export type Loaded = { loadMs: number; memoryBytes: number };

const DRAFTED = 8;
const POSITION = 128;
const PROMPT = 64;
const GREEDY = { temperature: 0, seed: 0n };

/** Makes the worker. Figures are tokens per second, or milliseconds for a first hint. */
export function makeWorker(
  kernel: WebAssembly.Module,
  prototype?: { module: WebAssembly.Module; code: Prototype },
) {
  let ours: DraftEngine;
  let theirs: PrototypeModel | undefined;
  let vocabulary = 2;
  const ids = (count: number) => Array.from({ length: count }, (_, i) => (i * 7919 + 13) % vocabulary);

  async function run(command: Command, bucket: R2Bucket): Promise<unknown> {
    switch (command.do) {
      case "load": {
        // The prototype has no short head: its model knows only as many ids as the head has rows.
        vocabulary = command.shape.head.rows;
        const loaded = await loadFromBucket(kernel, bucket, command);
        ours = loaded.engine;
        return loaded.figures;
      }
      case "load prototype":
        theirs = prototype && loadPrototype(prototype, command.shape);
        return null;
      case "draft":
        return command.engine === "ours"
          ? measureDraft(ours, ids(POSITION), command.ms)
          : measure(command.ms, DRAFTED, draftTheirs(theirs!, ids(POSITION)));
      case "prefill":
        return command.engine === "ours"
          ? measure(command.ms, PROMPT, () => prefillOurs(ours, ids(PROMPT)))
          : measure(command.ms, PROMPT, () => theirs!.prefill(ids(PROMPT), 0));
      case "token by token":
        return measure(command.ms, PROMPT, () => prefillByToken(ours, ids(PROMPT)));
      case "first hint":
        return firstHint(ours, ids(command.prompt));
    }
  }

  return {
    async fetch(request: Request, env: { BUCKET: R2Bucket }): Promise<Response> {
      const { searchParams } = new URL(request.url);
      const stream = searchParams.get("stream");
      if (stream !== null) return serveStream(ours, searchParams.has("drafts"), Number(stream));
      return Response.json(await run((await request.json()) as Command, env.BUCKET));
    },
  };
}

/** Tokens per second of calls that make `tokens` each, over about `ms`. */
function measure(ms: number, tokens: number, call: () => void): number {
  const start = performance.now();
  let calls = 0;
  let spent = 0;
  while (spent < ms) {
    call();
    calls++;
    spent = performance.now() - start;
  }
  return (calls * tokens * 1000) / spent;
}

async function loadFromBucket(
  kernel: WebAssembly.Module,
  bucket: R2Bucket,
  { shape, file }: { shape: BenchShape; file: ImageFile },
): Promise<{ engine: DraftEngine; figures: Loaded }> {
  const start = performance.now();
  const memory = new DraftMemory(kernel, 1 << 30);
  const object = await bucket.get("model.draft");
  const { poolPositions } = shape;
  const loaded = await loadDraft(memory, object!.body, file, digestStreamHasher, { poolPositions });
  if (!loaded.ok) throw new Error(loaded.error.message);
  const figures = { loadMs: performance.now() - start, memoryBytes: memory.bytes };
  return { engine: loaded.engine, figures };
}

function loadPrototype(
  prototype: { module: WebAssembly.Module; code: Prototype },
  { shape, head, bits }: BenchShape,
) {
  const { layers: L, hidden: D, heads: H, kv_heads: HK, head_dim: HD, ffn: F } = shape;
  const theirShape = { L, D, H, HK, HD, F, V: head.rows, tied: head.tied ? 1 : 0 };
  const model = new prototype.code.Engine(prototype.module, theirShape, { bits, ctx: 512 });
  prototype.code.randomWeights(model.weights, theirShape, bits, 3);
  return model;
}

function measureDraft(engine: DraftEngine, prompt: readonly number[], ms: number): number {
  const sequence = engine.open();
  sequence.extend(prompt);
  sequence.prefillWork().advance(Number.POSITIVE_INFINITY);
  const figure = measure(ms, DRAFTED, () => {
    const work = sequence.draftWork(DRAFTED, GREEDY);
    work.advance(Number.POSITIVE_INFINITY);
    if (work.draft.tokens.length !== DRAFTED) throw new Error(`drafting ended: ${work.draft.end}`);
    sequence.rewind(POSITION);
  });
  sequence.close();
  return figure;
}

function draftTheirs(model: PrototypeModel, prompt: readonly number[]): () => void {
  model.prefill(prompt, 0);
  return () => model.draft(prompt[POSITION - 1]!, POSITION - 1, DRAFTED);
}

/** A prompt and the token after it, as the prototype's prefill gives it too. */
function prefillOurs(engine: DraftEngine, prompt: readonly number[]): void {
  const sequence = engine.open();
  sequence.extend(prompt);
  sequence.draftWork(1, GREEDY).advance(Number.POSITIVE_INFINITY);
  sequence.close();
}

/** The same a token at a time, the head left out as well. */
function prefillByToken(engine: DraftEngine, prompt: readonly number[]): void {
  const sequence = engine.open();
  for (const id of prompt) {
    sequence.extend([id]);
    sequence.prefillWork().advance(Number.POSITIVE_INFINITY);
  }
  sequence.draftWork(1, GREEDY).advance(Number.POSITIVE_INFINITY);
  sequence.close();
}

/** As the edge does it: the newest ids first, in slices, with pauses between. */
async function firstHint(engine: DraftEngine, prompt: readonly number[]): Promise<number> {
  const start = performance.now();
  const source = new ModelSource(engine, GREEDY);
  source.prepare(prompt);
  const guess = await source.next(prompt);
  const spent = performance.now() - start;
  source.close();
  if (!guess) throw new Error("no first hint");
  return spent;
}
