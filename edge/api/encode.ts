/** From a prompt's text to its ids, where it can fit at all. */
import type { TargetText } from "../text/target-text.ts";
import { invalidRequest } from "./errors.ts";

/**
 * Throws an ApiError for a text that is over the context however it is cut into tokens: cutting it would hold up
 * every other request of the isolate for seconds, to the same end.
 */
export function encodePrompt(prompt: string, special: boolean, text: TargetText, param: string): number[] {
  if (prompt.length <= text.mostCharacters) return text.encode(prompt, special);
  const message =
    `The prompt has ${prompt.length} characters; the model's context of ${text.manifest.context} tokens ` +
    `holds ${text.mostCharacters} at most.`;
  throw invalidRequest(message, param, "context_length_exceeded");
}
