/** The whole system with vLLM as its engine: HTTP in front, the edge with the real draft, hints over the link. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Completion, complete, type Drafts } from "../../infra/bench/client.ts";
import { readChatPrompts } from "../../infra/bench/prompts.ts";
import { startTemporarySystem } from "../../infra/bench/temporary-system.ts";
import type { System } from "../../infra/start/system.ts";
import { TINY_SETTINGS } from "./start.ts";

const KINDS = ["honest", "random", "adversarial"] as const satisfies readonly Drafts[];
const MAX_TOKENS = 48;

describe("a completion over HTTP", () => {
  let system: System | undefined;
  beforeAll(async () => {
    system = await startTemporarySystem({
      target: "tiny",
      engine: "vllm",
      testHints: true,
      verifierEnv: { ...TINY_SETTINGS, GRACE_MS: "1000" },
    });
  });
  afterAll(() => system?.stop());

  const run = (n: number, temperature: number, drafts: Drafts): Promise<Completion> =>
    complete(system!, readChatPrompts()[n]!, {
      ...{ maxTokens: MAX_TOKENS, temperature, seed: n, drafts, noStore: true },
    });

  it.each([0, 0.8])("at temperature %f has the same ids under hints of every kind", async (temperature) => {
    const counts = { drafted: 0, accepted: 0 };
    for (const n of [0, 1, 2]) {
      const plain = await run(n, temperature, "off");
      expect(plain).toMatchObject({ drafted: 0, accepted: 0 });
      for (const kind of KINDS) {
        const hinted = await run(n, temperature, kind);
        expect(hinted.ids, `prompt ${n}, ${kind}`).toEqual(plain.ids);
        expect(hinted.tokens).toBe(plain.tokens);
        if (kind !== "honest") continue;
        counts.drafted += hinted.drafted;
        counts.accepted += hinted.accepted;
      }
    }
    expect(counts.drafted).toBeGreaterThan(0);
    if (temperature === 0) expect(counts.accepted).toBeGreaterThan(0);
  });
});
