/** One streamed completion as an ordinary client asks for it: no details, drafts off. */
import type { System } from "../../start/system.ts";

/** Ids with which the tiny target would end its text. */
const END_FORBIDDEN = { "0": -100, "2": -100 };

export type Heard = { tokens: number; firstMs: number };

/** Reads to the end; `onFirst` hears when the first text is there. Throws for anything but a whole stream. */
export async function askPlainly(
  system: System,
  prompt: string,
  maxTokens: number,
  options: { signal?: AbortSignal; onFirst?: () => void } = {},
): Promise<Heard> {
  const began = performance.now();
  const response = await fetch(`${system.address}/v1/completions`, {
    method: "POST",
    headers: { authorization: `Bearer ${system.key}`, "x-outrider-drafts": "off" },
    body: JSON.stringify({
      ...{ model: system.target, prompt, max_tokens: maxTokens, temperature: 0, logit_bias: END_FORBIDDEN },
      ...{ stream: true, stream_options: { include_usage: true } },
    }),
    ...(options.signal && { signal: options.signal }),
  });
  let text = "";
  let firstMs = Number.NaN;
  const decoder = new TextDecoder();
  for await (const bytes of response.body ?? []) {
    text += decoder.decode(bytes, { stream: true });
    if (!Number.isNaN(firstMs) || !text.includes("data: ")) continue;
    firstMs = performance.now() - began;
    options.onFirst?.();
  }
  const tokens = Number(/"completion_tokens":(\d+)/.exec(text)?.[1]);
  if (!text.endsWith("data: [DONE]\n\n") || !tokens) throw new Error(`no whole stream: ${text.slice(-300)}`);
  return { tokens, firstMs };
}
