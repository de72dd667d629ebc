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
import type { Completion } from "../bench/client.ts";
import { StartError } from "../start/errors.ts";
import { type Books, type Customer, completeAll } from "./traffic.ts";

export type Judged = {
  release: string;
  /** Share of the served ids that the draft would have said. */
  greedy: number;
  /** Of the model's drafts that were sent: how many ids, and the share that the target confirmed. */
  drafted: number;
  accepted: number;
  tokens_per_step: number;
};

/** `folder`: for the release's image. Throws StartError where more than one release served. */
export async function judge(
  customer: Customer,
  publisher: Publisher,
  {
    prompts,
    atOnce,
    folder,
    books,
  }: { prompts: readonly string[]; atOnce: number; folder: string; books: Books },
): Promise<{ judged: Judged; texts: string[] }> {
  const answers = await completeAll(customer, prompts, atOnce, books);
  const served = prompts.flatMap((prompt, i) => (answers[i] ? [{ prompt, answer: answers[i] }] : []));
  const release = servedBy(served.map(({ answer }) => answer));
  const { files } = await publisher.readRelease(release);
  const image = join(folder, `${release}.draft`);
  writeFileSync(image, files["model.draft"]);
  const draft = await openDraft(image);
  const tokenizer = new Tokenizer(JSON.parse(new TextDecoder().decode(files["tokenizer.json"])), {});
  const foreseen: { ids: readonly number[]; said: Said }[] = [];
  for (const { prompt, answer } of served) {
    const read = tokenizer.encode(prompt, { add_special_tokens: false }).ids;
    const { ids } = answer;
    const { said } = await foreseeByKernel(draft, { domain: "held out", prompt: read, ids });
    foreseen.push({ ids, said });
  }
  const sum = (of: (answer: Completion) => number) =>
    served.reduce((total, { answer }) => total + of(answer), 0);
  const drafted = sum(({ draftedBy }) => draftedBy.model ?? 0);
  const accepted = sum(({ acceptedBy }) => acceptedBy.model ?? 0);
  const judged = {
    ...{ release, greedy: matches(foreseen), drafted },
    accepted: drafted === 0 ? 0 : accepted / drafted,
    tokens_per_step: sum(({ tokens }) => tokens) / sum(({ steps }) => steps),
  };
  return { judged, texts: answers.map((answer) => answer?.text ?? "") };
}

function servedBy(answers: readonly Completion[]): string {
  const releases = [...new Set(answers.map(({ release }) => release))];
  const [release] = releases;
  if (releases.length === 1 && release) return release;
  throw new StartError(`held-out requests were served by ${releases.join(" and ")}: nothing to compare`);
}
