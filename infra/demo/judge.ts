/**
 * A release judged on requests that nobody captured. Live: what the verifier counted while they were served. Greedily:
 * the texts that were served, and at each of their positions what the release's image says in the edge's kernel.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Tokenizer } from "@huggingface/tokenizers";
import type { Publisher } from "../../gpu-service/training/publish/publisher.ts";
import { openDraft } from "../bench/acceptance/draft.ts";
import { foreseeByKernel, matches, type Said } from "../bench/acceptance/kernel.ts";
import { complete } from "../bench/client.ts";
import { StartError } from "../start/errors.ts";
import { type Answer, completeAll, type Endpoint, TOKENS } from "./traffic.ts";

export type Judged = {
  release: string;
  /** Share of the served ids that the draft would have said. */
  greedy: number;
  /** Of the drafts that were sent: how many ids, and the share that the target confirmed. */
  drafted: number;
  accepted: number;
  tokens_per_step: number;
};

/** `folder`: for the release's image. Throws StartError where more than one release served. */
export async function judge(
  endpoint: Endpoint,
  publisher: Publisher,
  prompts: readonly string[],
  atOnce: number,
  folder: string,
): Promise<Judged> {
  const answers = await completeAll(endpoint, prompts, atOnce);
  const release = servedBy(answers);
  const { files } = await publisher.readRelease(release);
  const image = join(folder, `${release}.draft`);
  writeFileSync(image, files["model.draft"]);
  const draft = await openDraft(image);
  const tokenizer = new Tokenizer(JSON.parse(new TextDecoder().decode(files["tokenizer.json"])), {});
  const foreseen: { ids: readonly number[]; said: Said }[] = [];
  for (const prompt of prompts) {
    const ids = await idsOf(endpoint, prompt);
    const read = tokenizer.encode(prompt, { add_special_tokens: false }).ids;
    const { said } = await foreseeByKernel(draft, { domain: "held out", prompt: read, ids });
    foreseen.push({ ids, said });
  }
  const sum = (of: (answer: Answer) => number) => answers.reduce((total, answer) => total + of(answer), 0);
  const [drafted, accepted, steps] = [sum((a) => a.drafted), sum((a) => a.accepted), sum((a) => a.steps)];
  return {
    ...{ release, greedy: matches(foreseen), drafted },
    accepted: drafted === 0 ? 0 : accepted / drafted,
    tokens_per_step: sum((a) => a.tokens) / steps,
  };
}

async function idsOf(endpoint: Endpoint, prompt: string): Promise<number[]> {
  const request = { name: "held out", request: { prompt } };
  const settings = { maxTokens: TOKENS, temperature: 0, seed: 0, drafts: "honest", noStore: true } as const;
  return (await complete(endpoint, request, settings)).ids;
}

function servedBy(answers: readonly Answer[]): string {
  const releases = [...new Set(answers.map(({ release }) => release))];
  const [release] = releases;
  if (releases.length === 1 && release) return release;
  throw new StartError(`held-out requests were served by ${releases.join(" and ")}: nothing to compare`);
}
