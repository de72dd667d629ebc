/** One streamed completion through the public API: its token ids, and when they came. */
import { z } from "zod";
import type { Prompt } from "./prompts.ts";

export type Endpoint = { address: string; key: string; target: string };
/** How the edge drafts for a request; the last three only where the system was started with `testHints`. */
export type Drafts = "off" | "honest" | "random" | "adversarial" | "wrong";
export type Settings = {
  maxTokens: number;
  temperature: number;
  seed: number;
  drafts: Drafts;
  /** The text is not to be remembered for later requests, and nothing remembered used for it. */
  noStore?: boolean;
  /** After which the stream has failed; absent: it may take forever. */
  timeoutMs?: number;
};

export type Completion = {
  text: string;
  /** Output ids whose text was delivered, in order. */
  ids: number[];
  /** When each of them came: milliseconds of performance.now(). */
  times: number[];
  /** Output tokens as the API counts them: an id that ends the text is one of them. */
  tokens: number;
  finish: string | null;
  release: string | null;
  steps: number;
  drafted: number;
  /** The same, by source. */
  draftedBy: Record<string, number>;
  accepted: number;
  acceptedBy: Record<string, number>;
  /** (tokens − 1) / (time of the last − time of the first): NaN below two tokens. */
  tokS: number;
};

const counts = z.record(z.string(), z.int());
const chunkSchema = z.object({
  error: z.object({ message: z.string() }).optional(),
  choices: z
    .array(
      z.object({
        text: z.string().optional(),
        delta: z.object({ content: z.string().nullish() }).optional(),
        finish_reason: z.string().nullable(),
      }),
    )
    .default([]),
  usage: z.object({ completion_tokens: z.int() }).nullish(),
  outrider: z
    .object({
      ids: z.array(z.int()).optional(),
      release: z.string().nullish(),
      steps: z.int().nullish(),
      drafted: counts.optional(),
      accepted: z.union([counts, z.int()]).optional(),
    })
    .optional(),
});
type Chunk = z.infer<typeof chunkSchema>;

/** Throws for anything but a whole, successful stream. */
export async function complete(endpoint: Endpoint, prompt: Prompt, settings: Settings): Promise<Completion> {
  const response = await request(endpoint, prompt, settings);
  const result: Completion = {
    ...{ text: "", ids: [], times: [], tokens: 0, finish: null, release: null },
    ...{ steps: 0, drafted: 0, draftedBy: {}, accepted: 0, acceptedBy: {}, tokS: Number.NaN },
  };
  let first = Number.NaN;
  let last = Number.NaN;
  for await (const chunk of readChunks(response)) {
    if (chunk.error) throw new Error(`${prompt.name}: the stream ended with: ${chunk.error.message}`);
    if (chunk.outrider?.ids?.length) {
      last = performance.now();
      first = Number.isNaN(first) ? last : first;
      for (const _ of chunk.outrider.ids) result.times.push(last);
    }
    addChunk(result, chunk);
  }
  result.tokS = ((result.tokens - 1) / (last - first)) * 1000;
  return result;
}

function addChunk(result: Completion, { choices, usage, outrider }: Chunk): void {
  const choice = choices[0];
  result.text += choice?.text ?? choice?.delta?.content ?? "";
  result.finish = choice?.finish_reason ?? result.finish;
  if (usage) result.tokens = usage.completion_tokens;
  if (!outrider) return;
  result.ids.push(...(outrider.ids ?? []));
  if (outrider.drafted === undefined) return;
  result.release = outrider.release ?? null;
  result.steps = outrider.steps ?? 0;
  result.draftedBy = outrider.drafted;
  result.drafted = total(outrider.drafted);
  result.acceptedBy = typeof outrider.accepted === "object" ? outrider.accepted : {};
  result.accepted = total(result.acceptedBy);
}

const total = (bySource: Record<string, number>): number =>
  Object.values(bySource).reduce((sum, value) => sum + value, 0);

async function request(endpoint: Endpoint, { name, request }: Prompt, settings: Settings): Promise<Response> {
  const { maxTokens, temperature, seed, drafts, noStore, timeoutMs } = settings;
  const path = "messages" in request ? "chat/completions" : "completions";
  const response = await fetch(`${endpoint.address}/v1/${path}`, {
    method: "POST",
    headers: {
      authorization: `Bearer ${endpoint.key}`,
      "content-type": "application/json",
      "x-outrider-details": "1",
      ...(noStore && { "cache-control": "no-store" }),
      ...(drafts === "off" ? { "x-outrider-drafts": "off" } : { "x-outrider-hints": drafts }),
    },
    body: JSON.stringify({
      ...{ model: endpoint.target, ...request, max_tokens: maxTokens, temperature, seed },
      ...{ stream: true, stream_options: { include_usage: true } },
    }),
    ...(timeoutMs !== undefined && { signal: AbortSignal.timeout(timeoutMs) }),
  });
  if (!response.ok) throw new Error(`${name}: ${response.status} ${(await response.text()).slice(0, 300)}`);
  return response;
}

/** The stream's events up to `[DONE]`. Throws where it ends without. */
async function* readChunks(response: Response): AsyncGenerator<Chunk> {
  let rest = "";
  const decoder = new TextDecoder();
  for await (const bytes of response.body ?? []) {
    const events = (rest + decoder.decode(bytes, { stream: true })).split("\n\n");
    rest = events.pop() ?? "";
    for (const event of events) {
      if (!event.startsWith("data: ")) continue;
      if (event === "data: [DONE]") return;
      yield chunkSchema.parse(JSON.parse(event.slice("data: ".length)));
    }
  }
  throw new Error(`the stream ended before [DONE]${rest ? `, in the middle of: ${rest.slice(0, 200)}` : ""}`);
}
