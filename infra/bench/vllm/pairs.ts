/** The pairs of target and draft that `vllm` measures, with texts that fit them. */
import { ensureConvertPython } from "../../models/python-env.ts";
import { StartError } from "../../start/errors.ts";
import type { DataFolder } from "../../start/paths.ts";
import { fetchHumanEvalPrompts, type Prompt, readChatPrompts } from "../prompts.ts";

export type Pair = {
  target: "smollm2" | "tiny";
  context: number;
  /** How many texts, and ids of each. */
  quick: { texts: number; tokens: number };
  full: { texts: number; tokens: number };
};

/** `tiny`: its steps last a few milliseconds, less than a hint's way, so what it shows is the fixed costs. */
export const PAIRS = {
  default: {
    target: "smollm2",
    context: 1024,
    quick: { texts: 2, tokens: 32 },
    full: { texts: 8, tokens: 96 },
  },
  // Longer texts: their first steps, for which there can be no hints yet, are to weigh little.
  tiny: {
    target: "tiny",
    context: 512,
    quick: { texts: 4, tokens: 256 },
    full: { texts: 16, tokens: 256 },
  },
} as const satisfies Record<string, Pair>;

/** Of HumanEval's prompts those that the tiny target's context has room for, and the texts after them. */
const MOST_LETTERS = 450;

/** Throws StartError. */
export function pairOf(name = "default"): Pair {
  if (name === "default" || name === "tiny") return PAIRS[name];
  throw new StartError(`--pair ${name}: expected ${Object.keys(PAIRS).join(" or ")}`);
}

/** Of the default pair code to be completed and questions in turn; the tiny one has not been taught to answer. */
export async function promptsOf({ target }: Pair, data: DataFolder, count: number): Promise<Prompt[]> {
  const { path: python } = await ensureConvertPython(data);
  const code = await fetchHumanEvalPrompts(data.cache, python);
  if (target === "tiny") return code.filter(isShort).slice(0, count);
  const chat = readChatPrompts();
  return code.flatMap((prompt, n) => (chat[n] ? [prompt, chat[n]] : [])).slice(0, count);
}

const isShort = ({ request }: Prompt): boolean => "prompt" in request && request.prompt.length < MOST_LETTERS;
