/** Prompts as token ids: the tokenizer and the chat template of a target, without a system that serves it. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { buildTargetText, type TargetText } from "../../edge/text/target-text.ts";
import type { Prompt } from "./prompts.ts";

const targetSchema = z.object({
  vocab_size: z.int(),
  context: z.int(),
  bos_id: z.int().nullable(),
  eos_ids: z.array(z.int()),
  tokenizer_sha256: z.string(),
});

/** `folder`: a converted target. */
export async function readTargetText(folder: string): Promise<{ text: TargetText; vocab: number }> {
  const read = async (name: string) => JSON.parse(await readFile(join(folder, name), "utf8"));
  const config = await read("tokenizer_config.json");
  const template = await readFile(join(folder, "chat_template.jinja"), "utf8");
  const manifest = {
    ...{
      format_version: 1 as const,
      kind: "target" as const,
      id: "target",
      special: {},
      chat_template: template,
    },
    ...targetSchema.parse(await read("manifest.json")),
    files: { "tokenizer.json": { sha256: "", bytes: 1 } },
  };
  const text = buildTargetText(manifest, await read("tokenizer.json"), config);
  return { text, vocab: manifest.vocab_size };
}

/** A prompt's ids, as the edge makes them. Throws what the chat template says is wrong. */
export function encode({ request }: Prompt, text: TargetText): number[] {
  if ("prompt" in request) return text.encode(request.prompt, true);
  const rendered = text.chat!(request.messages);
  if (!rendered.ok) throw new Error(rendered.message);
  return text.encode(rendered.text, false);
}
