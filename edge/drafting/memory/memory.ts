/**
 * What was confirmed is kept as drafts for whoever asks the same again: in the isolate, and behind it in the Cache API
 * of the data centre, under a name that nobody can form who lacks the installation's secret.
 *
 * Texts are kept per tenant, target and tokenizer, so that one tenant's traffic cannot be timed by another. Only ids
 * are kept, only as hints: a wrong or stale one costs time, never text.
 */
import type { DraftSource } from "../source.ts";
import { readOutput, type SharedMemory, writeOutput } from "./shared.ts";
import { MemorySource } from "./source.ts";
import { MemoryStore } from "./store.ts";

/** Ids of a prompt that are kept before its output: enough to tell it from others. */
const PROMPT_IDS = 96;
export const MAX_OUTPUT_IDS = 2048;
/** A shorter output is computed as soon as it is looked up. */
const LEAST_OUTPUT_IDS = 4;
/** A prompt of which the isolate knows so much is not looked up in the data centre. */
const KNOWN_MATCH = 48;

export type MemoryScope = {
  tenant: string;
  target: string;
  tokenizer: string;
  prompt: readonly number[];
};
export type Recall = {
  source: DraftSource;
  /** The output as far as it was confirmed. To be called once, at the completion's end. */
  remember(output: readonly number[]): void;
};

export class Memory {
  readonly #store = new MemoryStore();
  readonly #shared: SharedMemory;

  constructor(shared: SharedMemory) {
    this.#shared = shared;
  }

  /** `keepAlive`: the request's waitUntil. */
  recall(scope: MemoryScope, keepAlive: (work: Promise<unknown>) => void): Recall {
    const { tenant, target, tokenizer, prompt } = scope;
    const owner = JSON.stringify([tenant, target, tokenizer]);
    const tail = prompt.slice(-PROMPT_IDS);
    let known = 0;
    if ((this.#store.find(owner, prompt)?.agreed ?? 0) < Math.min(KNOWN_MATCH, prompt.length)) {
      const read = readOutput(this.#shared, owner, prompt).then((output) => {
        if (!output) return;
        known = output.length;
        this.#store.add(owner, [...tail, ...output], tail.length);
      });
      keepAlive(read);
    }
    return {
      source: new MemorySource(this.#store, owner),
      remember: (all) => {
        const output = all.slice(0, MAX_OUTPUT_IDS);
        if (output.length < LEAST_OUTPUT_IDS) return;
        this.#store.add(owner, [...tail, ...output], tail.length);
        if (output.length > known) keepAlive(writeOutput(this.#shared, owner, prompt, output));
      },
    };
  }
}
