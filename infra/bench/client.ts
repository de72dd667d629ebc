/** One streamed completion through the public API, with the time of every token. */
import { z } from "zod";
import type { Prompt } from "./prompts.ts";

export type Settings = {
  address: string;
  key: string;
  model: string;
  maxTokens: number;
  temperature: number;
  seed: number;
  drafts: "on" | "off" | "random" | "adversarial";
};

export type Measured = {
  text: string;
  /** Output token ids, in order. */
  ids: number[];
  steps: number;
  drafted: number;
  accepted: number;
  release: string | null;
  /** Milliseconds since the request for the first and the last token that arrived. */
  firstMs: number;
  lastMs: number;
};
