/**
 * The tokens that models trained to fill in a middle mark its surroundings with: prefix, suffix, then the middle
 * (Bavarian et al. 2022, the order "PSM").
 */
export type Infill = { prefix: number; suffix: number; middle: number };

/** As StarCoder, Qwen-Coder, CodeLlama and DeepSeek-Coder name them. */
const FAMILIES = [
  ["<fim_prefix>", "<fim_suffix>", "<fim_middle>"],
  ["<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"],
  ["▁<PRE>", "▁<SUF>", "▁<MID>"],
  ["<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"],
] as const;

/** `added`: the tokens that tokenizer.json adds to the model's own vocabulary, by id. */
export function findInfill(added: ReadonlyMap<number, { content: string }>): Infill | undefined {
  const ids = new Map([...added].map(([id, { content }]) => [content, id]));
  for (const names of FAMILIES) {
    const [prefix, suffix, middle] = names.map((name) => ids.get(name));
    if (prefix !== undefined && suffix !== undefined && middle !== undefined)
      return { prefix, suffix, middle };
  }
  return undefined;
}

/** The prompt whose continuation belongs between `before` and `after`; `opening`: ids that begin any text. */
export const infillPrompt = (
  { prefix, suffix, middle }: Infill,
  text: { opening: readonly number[]; before: readonly number[]; after: readonly number[] },
): number[] => [...text.opening, prefix, ...text.before, suffix, ...text.after, middle];
