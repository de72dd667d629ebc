/** Gate `leaks`: nothing of the evaluation is in what the candidate was trained on. */
import type { Gate } from "../../gpu-service/protocol/jobs.ts";
import type { Leaks } from "./evidence.ts";

/**
 * Documents and prompts are chosen, and none may share a run of ten words with the evaluation. A response is what the
 * target makes of a clean prompt: that it says something known once in a thousand texts is its own memory.
 */
const MOST_RESPONSES = 1 / 1000;

export function leakGate({ documents, prompts, responses, texts, examples }: Leaks): Gate {
  const passed = documents + prompts === 0 && responses <= MOST_RESPONSES * texts;
  const found = `${documents} documents, ${prompts} prompts and ${responses} responses of ${texts} texts`;
  return {
    gate: "leaks",
    passed,
    message: `${found} share ten words with the evaluation${examples.length ? `: ${examples.join("; ")}` : ""}`,
    figures: { documents, prompts, responses, texts },
  };
}
