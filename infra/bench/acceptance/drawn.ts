/** What the target draws at temperature 1, with its likeliest tokens at every place, through the API. */
import { z } from "zod";
import type { Endpoint } from "../client.ts";

/** The most that the API shows. */
const LIKELIEST = 20;

const counts = z.record(z.string(), z.int());
const answerSchema = z.object({
  choices: z.tuple([
    z.object({
      logprobs: z.object({
        tokens: z.array(z.string()),
        top_logprobs: z.array(z.record(z.string(), z.number())),
      }),
    }),
  ]),
  outrider: z.object({ steps: z.int(), accepted: counts }),
});

export type Drawn = {
  ids: number[];
  top: [id: number, logprob: number][][];
  steps: number;
  accepted: number;
};

/** `idOf`: the id of a token by the name that logprobs give it. Throws for anything but a whole answer. */
export async function drawText(
  { address, key, target }: Endpoint,
  request: { prompt: readonly number[]; maxTokens: number; seed: number },
  idOf: ReadonlyMap<string, number>,
): Promise<Drawn> {
  const response = await fetch(`${address}/v1/completions`, {
    method: "POST",
    headers: {
      authorization: `Bearer ${key}`,
      "content-type": "application/json",
      "cache-control": "no-store",
      "x-outrider-details": "1",
    },
    body: JSON.stringify({
      ...{ model: target, prompt: request.prompt, max_tokens: request.maxTokens, seed: request.seed },
      ...{ temperature: 1, logprobs: LIKELIEST },
    }),
  });
  if (!response.ok) throw new Error(`${response.status} ${(await response.text()).slice(0, 300)}`);
  const { choices, outrider } = answerSchema.parse(await response.json());
  const { tokens, top_logprobs } = choices[0].logprobs;
  const id = (name: string): number => {
    const found = idOf.get(name);
    if (found === undefined) throw new Error(`the answer names a token ${JSON.stringify(name)} that is none`);
    return found;
  };
  return {
    ids: tokens.map(id),
    top: top_logprobs.map((likeliest) => Object.entries(likeliest).map(([name, value]) => [id(name), value])),
    steps: outrider.steps,
    accepted: Object.values(outrider.accepted).reduce((sum, count) => sum + count, 0),
  };
}
