/** What `speedup` measures: prompts, and how drafts are made for them. */
import type { Drafts } from "../client.ts";
import type { Prompt } from "../prompts.ts";

export const SUITE_NAMES = ["humaneval", "chat", "edits", "wrong", "repeat"] as const;
export type SuiteName = (typeof SUITE_NAMES)[number];

export type Suite = {
  name: SuiteName;
  prompts: readonly Prompt[];
  /** How the edge drafts where drafts are on. */
  drafts: Exclude<Drafts, "off">;
  /** Hints may come from texts seen before; everywhere else nothing is stored and nothing looked up. */
  memory: boolean;
  /** The request brings the plain text, edited, as its `prediction`. */
  predicts: boolean;
};

const PLAIN = { drafts: "honest", memory: false, predicts: false } as const;

/** `repeat` takes its prompts from the end, where the other suites hardly come. */
export function makeSuites(humanEval: readonly Prompt[], chat: readonly Prompt[]): Suite[] {
  return [
    { ...PLAIN, name: "humaneval", prompts: humanEval },
    { ...PLAIN, name: "chat", prompts: chat },
    { ...PLAIN, name: "edits", prompts: humanEval.map(asQuestion), predicts: true },
    { ...PLAIN, name: "wrong", prompts: humanEval, drafts: "wrong" },
    { ...PLAIN, name: "repeat", prompts: alternate(humanEval.toReversed(), chat.toReversed()), memory: true },
  ];
}

/** `prediction` is a field of chat completions. */
function asQuestion({ name, request }: Prompt): Prompt {
  if (!("prompt" in request)) return { name, request };
  const content = `Complete this Python function. Answer with the whole function.\n\n${request.prompt}`;
  return { name, request: { messages: [{ role: "user", content }] } };
}

function alternate<T>(these: readonly T[], those: readonly T[]): T[] {
  return these.slice(0, those.length).flatMap((one, i) => [one, those[i]!]);
}
