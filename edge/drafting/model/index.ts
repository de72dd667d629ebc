/**
 * The draft model in WASM, from TypeScript. In short:
 *
 *   const memory = new DraftMemory(wasmModule, limitBytes);               // once per isolate
 *   const loaded = await loadDraft(memory, stream, file, digestStreamHasher, { poolPositions: 4096 });
 *   const sequence = loaded.engine.open();
 *   sequence.extend(promptIds);
 *   const { tokens } = await sequence.draft(4, { temperature: 0, seed: 0n });
 *   sequence.confirm(position, confirmedIds);                             // follow the target, then draft again
 *   sequence.close();
 */
export { digestStreamHasher, type Hasher } from "./digest.ts";
export { DEFAULT_OPTIONS, DraftEngine, type EngineOptions, type NoMemory } from "./engine.ts";
export type { ImageHeader } from "./header.ts";
export { type ImageResult, parseImage } from "./image.ts";
export type { ImageError, ImageErrorCode } from "./image-checks.ts";
export { type ImageFile, type LoadError, type LoadResult, loadDraft } from "./load.ts";
export { DraftMemory } from "./memory.ts";
export type { DraftSettings, DraftToken } from "./pass.ts";
export type { Sequence } from "./sequence.ts";
export type { Draft, DraftEnd, DraftOptions, DraftWork, PrefillWork } from "./work.ts";
