/** Greedy completions through the public API, several at a time, and the books of how they went. */
import { type Completion, complete, type Endpoint, type Settings } from "../bench/client.ts";

export type Customer = Endpoint & {
  /** Unless stored, nothing is captured or remembered of a text, and nothing remembered used for it. */
  stored: boolean;
};
/** Of all completions of a demonstration. */
export type Books = { completions: number; failures: string[] };

export const TOKENS = 64;
const TIMEOUT_MS = 120_000;

/** In the prompts' order, `atOnce` at a time; a completion that failed is undefined, and stands in the books. */
export async function completeAll(
  customer: Customer,
  prompts: readonly string[],
  atOnce: number,
  books: Books,
): Promise<(Completion | undefined)[]> {
  const answers: (Completion | undefined)[] = [];
  const waiting = [...prompts.entries()];
  const client = async () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      const [index, prompt] = next;
      answers[index] = await completeOne(customer, prompt, books);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, client));
  return answers;
}

async function completeOne(
  customer: Customer,
  prompt: string,
  books: Books,
): Promise<Completion | undefined> {
  const settings: Settings = {
    ...{ maxTokens: TOKENS, temperature: 0, seed: 0, drafts: "honest" },
    ...{ noStore: !customer.stored, timeoutMs: TIMEOUT_MS },
  };
  books.completions++;
  try {
    return await complete(customer, { name: prompt, request: { prompt } }, settings);
  } catch (error) {
    books.failures.push(error instanceof Error ? error.message : String(error));
    return undefined;
  }
}
