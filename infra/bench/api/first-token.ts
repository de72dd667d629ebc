/** How much later the first token comes through the Worker than straight from the verifier, prompt by prompt. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Tokenizer } from "@huggingface/tokenizers";
import { readTarget } from "../../models/target-folder.ts";
import { StartError } from "../../start/errors.ts";
import type { System } from "../../start/system.ts";
import { NodeLink } from "../paced/node-link.ts";
import { runSession } from "../paced/session.ts";
import { median } from "../result.ts";
import { askPlainly } from "./request.ts";

const CODE = "def add(a, b):\n    return a + b\n\n\n".repeat(6);
/** Before the first that counts: connections, caches, compiled code. */
const WARM_UPS = 5;

export type FirstToken = { throughMs: number; straightMs: number };

/**
 * Medians over `count` prompts of about 100 tokens, each asked both ways, the first way in turn. Straight: over a
 * socket that is open already. No prompt has been seen before by either way's tenant.
 */
export async function measureFirstToken(system: System, folder: string, count: number): Promise<FirstToken> {
  const manifest = readTarget(folder);
  if (!manifest) throw new StartError(`${folder} has no manifest`);
  const { id, tokenizer_sha256: tokenizer, vocab_size: vocabulary } = manifest;
  const target = { id, tokenizer, vocabulary };
  const encode = encoderOf(folder);
  const link = await NodeLink.connect(Number(new URL(system.verifier).port), system.secrets.link);
  const ways = {
    through: async (prompt: string) => (await askPlainly(system, prompt, 2)).firstMs,
    straight: async (prompt: string) => {
      const settings = { target, prompt: encode(prompt), maxTokens: 2, seed: "0", temperature: 0 };
      const { times, startedAt } = await runSession(settings, [link], undefined);
      return times[0]! - startedAt;
    },
  };
  const ms = { through: [] as number[], straight: [] as number[] };
  try {
    for (let n = -WARM_UPS; n < count; n++) {
      const prompt = `# ${n}\n${CODE}`;
      for (const way of n % 2 ? (["through", "straight"] as const) : (["straight", "through"] as const)) {
        const took = await ways[way](prompt);
        if (n >= 0) ms[way].push(took);
      }
    }
  } finally {
    link.close();
  }
  return { throughMs: median(ms.through), straightMs: median(ms.straight) };
}

function encoderOf(folder: string): (text: string) => number[] {
  const read = (name: string) => JSON.parse(readFileSync(join(folder, name), "utf8"));
  const tokenizer = new Tokenizer(read("tokenizer.json"), read("tokenizer_config.json"));
  return (text) => tokenizer.encode(text).ids;
}
