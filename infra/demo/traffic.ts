/** Greedy completions through the public API, several at a time, with what drafting did for each. */
import { z } from "zod";

export type Endpoint = { address: string; key: string; target: string; stored: boolean };
export type Answer = {
  text: string;
  release: string | null;
  steps: number;
  /** Of the output. */
  tokens: number;
  drafted: number;
  accepted: number;
};

export const TOKENS = 64;
const TIMEOUT_MS = 120_000;
const counts = z.record(z.string(), z.int());
const answerSchema = z.object({
  choices: z.array(z.object({ text: z.string() })).length(1),
  usage: z.object({ completion_tokens: z.int() }),
  outrider: z.object({
    release: z.string().nullable(),
    steps: z.int().nullable(),
    drafted: counts,
    accepted: counts,
  }),
});

/**
 * `drafted` and `accepted`: of the model's drafts. Unless `stored`, nothing is captured or remembered of the text, and
 * nothing remembered is used for it.
 */
export async function complete({ address, key, target, stored }: Endpoint, prompt: string): Promise<Answer> {
  const response = await fetch(`${address}/v1/completions`, {
    method: "POST",
    headers: {
      ...{ authorization: `Bearer ${key}`, "content-type": "application/json" },
      "x-outrider-details": "1",
      ...(!stored && { "cache-control": "no-store" }),
    },
    body: JSON.stringify({ model: target, prompt, max_tokens: TOKENS, temperature: 0 }),
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  const body: unknown = await response.json();
  if (!response.ok) throw new Error(`a completion failed: ${response.status} ${JSON.stringify(body)}`);
  const { choices, usage, outrider } = answerSchema.parse(body);
  return {
    text: choices[0]!.text,
    release: outrider.release,
    steps: outrider.steps ?? 0,
    tokens: usage.completion_tokens,
    drafted: outrider.drafted.model ?? 0,
    accepted: outrider.accepted.model ?? 0,
  };
}

/** In the prompts' order, `atOnce` of them at a time. */
export async function completeAll(
  endpoint: Endpoint,
  prompts: readonly string[],
  atOnce: number,
): Promise<Answer[]> {
  const answers: Answer[] = [];
  let next = 0;
  const worker = async () => {
    for (let index = next++; index < prompts.length; index = next++)
      answers[index] = await complete(endpoint, prompts[index]!);
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  return answers;
}
