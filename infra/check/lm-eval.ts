/**
 * `npm run check:lm-eval`: EleutherAI's harness scores questions with the default target through the API as
 * transformers does with the same weights in fp32. The answer with the highest log-likelihood counts as given.
 */
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { z } from "zod";
import { startTemporarySystem } from "../bench/temporary-system.ts";
import { ensureGguf } from "../models/default-model.ts";
import { openDataFolder, ROOT } from "../start/paths.ts";
import { runMain } from "../start/run-main.ts";
import { ensureClientsPython } from "./clients-python.ts";
import { ensureTrainerPython } from "./setup.ts";

/** What rounding to int8 may change: of an answer's log-likelihood on the average, and of the given answers. */
const MOST_DIFFERENCE = 0.2;
const MOST_OTHER_ANSWERS = 0.1;
const CLIENTS = join(ROOT, "test/clients");

const questionSchema = z.object({ question: z.string(), answers: z.array(z.string()), right: z.int() });
type Question = z.infer<typeof questionSchema>;
/** Log-likelihood of a continuation, and whether each of its tokens was the likeliest. */
const scores = z.array(z.tuple([z.number(), z.boolean()]));
const say = (line: string) => console.log(line);

await runMain(main);

async function main(): Promise<number> {
  const data = openDataFolder();
  const python = {
    harness: await ensureClientsPython("lm-eval"),
    trainer: await ensureTrainerPython(data, say),
  };
  const questions = z.array(questionSchema).parse(readJson(join(ROOT, "test/cases/lm-eval-questions.json")));
  const folder = mkdtempSync(join(tmpdir(), "outrider-lm-eval-"));
  const cases = join(folder, "cases.json");
  writeFileSync(cases, JSON.stringify(questions.flatMap(casesOf)));
  const system = await startTemporarySystem({ target: "smollm2", say });
  try {
    const env = { OPENAI_API_KEY: system.key, HF_HUB_OFFLINE: "1", HF_DATASETS_OFFLINE: "1" };
    const tokenizer = join(data.models, system.target);
    const client = [
      join(CLIENTS, "lm_eval_client.py"),
      `${system.address}/v1`,
      system.target,
      tokenizer,
      cases,
    ];
    const scored = z
      .object({ alone: scores, batched: scores })
      .parse(await runPython(python.harness, client, env));
    const maker = [join(CLIENTS, "make_lm_eval_cases.py"), await ensureGguf(data, say), cases];
    const references = z
      .array(z.object({ logprob: z.number() }))
      .parse(await runPython(python.trainer, maker));
    const ours = scored.alone.map(([logprob]) => logprob);
    const theirs = references.map(({ logprob }) => logprob);
    const sameBatched = JSON.stringify(scored.batched) === JSON.stringify(scored.alone);
    return report(questions, ours, theirs, sameBatched) ? 0 : 1;
  } finally {
    await system.stop();
    rmSync(folder, { recursive: true });
  }
}

function readJson(path: string): unknown {
  return JSON.parse(readFileSync(path, "utf8"));
}

function casesOf({ question: context, answers }: Question) {
  return answers.map((continuation) => ({ context, continuation }));
}

/** The JSON value that a script prints, on its last line or over all of them. */
async function runPython(python: string, args: string[], env: Record<string, string> = {}): Promise<unknown> {
  const options = { env: { ...process.env, ...env }, maxBuffer: 1 << 26 };
  const { stdout } = await promisify(execFile)(python, args, options);
  return JSON.parse(stdout.slice(stdout.search(/^[[{]/m)));
}

/** Whether the two agree. `ours`, `theirs`: log-likelihoods, question by question, answer by answer. */
function report(
  questions: readonly Question[],
  ours: readonly number[],
  theirs: readonly number[],
  sameBatched: boolean,
): boolean {
  const difference = ours.reduce((sum, score, i) => sum + Math.abs(score - theirs[i]!), 0) / ours.length;
  const given = { ours: answersGiven(questions, ours), theirs: answersGiven(questions, theirs) };
  const others = given.ours.filter((answer, i) => answer !== given.theirs[i]).length;
  const accuracy = (answers: readonly number[]) =>
    answers.filter((answer, i) => answer === questions[i]!.right).length / questions.length;
  say(
    `accuracy through the API ${accuracy(given.ours).toFixed(3)}, in transformers ${accuracy(given.theirs).toFixed(3)}`,
  );
  say(`${others} of ${questions.length} questions with another answer`);
  say(`log-likelihood of an answer: mean difference ${difference.toFixed(3)} (${ours.length} answers)`);
  say(`in batches the same scores: ${sameBatched}`);
  return sameBatched && difference <= MOST_DIFFERENCE && others <= MOST_OTHER_ANSWERS * questions.length;
}

/** The number of the likeliest answer to each question. */
function answersGiven(questions: readonly Question[], scores: readonly number[]): number[] {
  const rest = [...scores];
  return questions.map(({ answers }) => {
    const own = rest.splice(0, answers.length);
    return own.indexOf(Math.max(...own));
  });
}
