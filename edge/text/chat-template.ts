/** The target's own chat template: messages in, the prompt's text out. */
import { Template } from "@huggingface/jinja";

export type ChatMessage = { role: string; content: string; name?: string };
export type Rendered = { ok: true; text: string } | { ok: false; message: string };
export type ChatTemplate = (messages: readonly ChatMessage[]) => Rendered;

/** `source`: Jinja; `special`: named tokens such as `bos_token`. Throws if the source does not parse. */
export function chatTemplate(source: string, special: Readonly<Record<string, string>>): ChatTemplate {
  const template = new Template(source);
  return (messages) => {
    try {
      const text = template.render({ ...special, messages: [...messages], add_generation_prompt: true });
      return { ok: true, text };
    } catch (error) {
      // A template refuses what it cannot express, such as two user messages in a row.
      return { ok: false, message: error instanceof Error ? error.message : String(error) };
    }
  };
}
