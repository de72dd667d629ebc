/** What the service and the process around vLLM say to each other: one JSON object a line, either way. */
import { z } from "zod";
import { type HintFrame, hintSource, type Sampling } from "../../../protocol/frames.ts";

export type ToProcess =
  | {
      type: "start";
      stream: number;
      /** Prompt, and the output that another replica confirmed. */
      ids: readonly number[];
      /** Ids to add at most; at least 1. */
      max_tokens: number;
      stop_ids: readonly number[];
      logprobs?: number | undefined;
      prompt_logprobs?: number | undefined;
      drafts: boolean;
      /** Prefixes are shared within it only. */
      tenant: string;
      /** `confirmed`: how many of `ids` count as output. */
      sampling: Sampling & { confirmed: number };
    }
  | HintFrame
  | { type: "cancel"; stream: number }
  | { type: "close" };

const stream = z.int();
/** [log probability, [[id, log probability], …]]: the likeliest ids, and the one that came if it is none of them. */
const entry = z.tuple([z.number(), z.array(z.tuple([z.int(), z.number()]))]);
export type Entry = z.infer<typeof entry>;

const readySchema = z.object({
  type: z.literal("ready"),
  version: z.string(),
  vocabulary: z.int(),
  context: z.int(),
  dtype: z.string(),
  device: z.string(),
  tensor_parallel: z.int(),
  pipeline_parallel: z.int(),
  /** Whether the self-test saw the same numbers with and without hints and companions. */
  exact: z.boolean(),
  /** The largest difference of a log probability that it saw. */
  difference: z.number(),
  /** Names weights and kernels by the numbers they gave. */
  fingerprint: z.string(),
});
export type Ready = z.infer<typeof readySchema>;

const partSchema = z.object({
  stream,
  ids: z.array(z.int()),
  /** The source of each hint row that ran. */
  drafted: z.array(hintSource),
  accepted: z.int(),
  /** Steps that the sequence has taken part in. */
  steps: z.int(),
  finished: z.boolean(),
  logprobs: z.array(entry).optional(),
  prompt_logprobs: z.array(entry.nullable()).optional(),
});
export type Part = z.infer<typeof partSchema>;

const fromProcess = z.discriminatedUnion("type", [
  readySchema,
  z.object({ type: z.literal("opened"), stream, cached: z.int() }),
  z.object({ type: z.literal("turn"), ms: z.number(), rows: z.int(), parts: z.array(partSchema) }),
  z.object({ type: z.literal("refused"), stream, message: z.string() }),
  z.object({ type: z.literal("failed"), reason: z.string() }),
]);
export type FromProcess = z.infer<typeof fromProcess>;

/** Throws an error that quotes the line's beginning. */
export function parseMessage(line: string): FromProcess {
  try {
    return fromProcess.parse(JSON.parse(line));
  } catch (error) {
    throw new Error(`vllm: the process said ${line.slice(0, 200)}: ${(error as Error).message}`);
  }
}
