/** Gate `memory`: image, keys and values, and the tokenizer fit into what production gives a worker for them. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { Tokenizer } from "@huggingface/tokenizers";
import type { Gate } from "../../gpu-service/protocol/jobs.ts";
import type { Candidate } from "./candidate.ts";

/** Of a worker's 128 MB: linear memory, and that with the tokenizer's heap. */
const LINEAR_BYTES = 88 * 2 ** 20;
const TOGETHER_BYTES = 113e6;

export async function memoryGate({ folder, memoryBytes }: Candidate): Promise<Gate> {
  const tokenizer = await heapOfTokenizer(join(folder, "tokenizer.json"));
  const passed = memoryBytes <= LINEAR_BYTES && memoryBytes + tokenizer <= TOGETHER_BYTES;
  return {
    gate: "memory",
    passed,
    message: `${inMb(memoryBytes)} of linear memory (at most ${inMb(LINEAR_BYTES)}), ${inMb(memoryBytes + tokenizer)} with the tokenizer (at most ${inMb(TOGETHER_BYTES)})`,
    figures: { linear_bytes: memoryBytes, tokenizer_bytes: tokenizer },
  };
}

async function heapOfTokenizer(path: string): Promise<number> {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  const text = await readFile(path, "utf8");
  collect();
  const before = process.memoryUsage().heapUsed;
  const tokenizer = new Tokenizer(JSON.parse(text), {});
  // Its tables are made at the first use.
  tokenizer.encode("memory");
  collect();
  const after = process.memoryUsage().heapUsed;
  // Used here again, so that it was not collected before.
  return tokenizer.encode("memory").ids.length > 0 ? Math.max(0, after - before) : 0;
}

const inMb = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;
