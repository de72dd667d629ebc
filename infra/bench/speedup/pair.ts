/** One prompt with drafts off and on, one after the other, so that what else the machine does strikes both alike. */
import { type Completion, complete, type Drafts, type Endpoint } from "../client.ts";
import type { Prompt } from "../prompts.ts";
import { type Row, round } from "../result.ts";
import { countLines, editLines } from "./edited.ts";
import type { Suite } from "./suites.ts";

const MAX_TOKENS = 128;
/** Fewer lines have no tenth that could be changed. */
const LEAST_LINES = 7;

export type Pair = { prompt: string; plain: Completion; drafts: Completion };

/**
 * Measures the `n`-th prompt of a suite; undefined where its text is too short to say anything. Temperature 0.
 * Which goes first alternates with `n`; where drafts need the plain text, that does.
 * Throws where memory was heard in a suite that asked for none: its figures would mean nothing.
 */
export async function measurePair(
  endpoint: Endpoint,
  suite: Suite,
  prompt: Prompt,
  n: number,
): Promise<Pair | undefined> {
  const run = (drafts: Drafts, noStore: boolean, asked = prompt) =>
    complete(endpoint, asked, { maxTokens: MAX_TOKENS, temperature: 0, seed: 0, drafts, noStore });
  const runPlain = () => run("off", true);
  const runDrafts = (asked = prompt) => run(suite.drafts, !suite.memory, asked);

  if (suite.memory) await runDrafts();
  const draftsFirst = n % 2 === 1 && !suite.predicts;
  let drafts = draftsFirst ? await runDrafts() : undefined;
  const plain = await runPlain();
  // A text of one token has no speed.
  if (plain.tokens < 2 || (suite.predicts && countLines(plain.text) < LEAST_LINES)) return undefined;
  drafts ??= await runDrafts(suite.predicts ? withPrediction(prompt, editLines(plain.text, n)) : prompt);
  if (!suite.memory && (drafts.draftedBy.memory ?? 0) > 0) {
    throw new Error(`${suite.name}, ${prompt.name}: memory hinted although the request said no-store`);
  }
  return { prompt: prompt.name, plain, drafts };
}

/** OpenAI's field for a text that is mostly known. */
function withPrediction({ name, request }: Prompt, content: string): Prompt {
  return { name, request: { ...request, prediction: { type: "content", content } } };
}

export const ratioOf = ({ plain, drafts }: Pair): number => drafts.tokS / plain.tokS;
export const acceptedPerStep = ({ drafts }: Pair): number =>
  drafts.steps > 0 ? drafts.accepted / drafts.steps : 0;
export const isIdentical = ({ plain, drafts }: Pair): boolean =>
  plain.text === drafts.text && plain.ids.join() === drafts.ids.join();

export const rowOf = (suite: string, pair: Pair): Row => ({
  suite,
  prompt: pair.prompt,
  plain_tok_s: round(pair.plain.tokS, 1),
  drafts_tok_s: round(pair.drafts.tokS, 1),
  ratio: round(ratioOf(pair), 3),
  accepted_per_step: round(acceptedPerStep(pair), 3),
  identical: isIdentical(pair),
});
