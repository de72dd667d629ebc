/** Several ranks and several copies on a CPU: the text and the steps of one. */
import { describe, expect, it } from "vitest";
import { atOnce } from "../support/hinters.ts";
import { type Completed, LinkClient } from "../support/link-client.ts";
import { GREEDY } from "../support/sequences.ts";
import { startTiny } from "./start.ts";

const PROMPTS = 4;
const prompt = (n: number) => Array.from({ length: 24 }, (_, i) => (i * 37 + n * 101) % 1024);
/** Half of them greedy, half drawn, the last with penalties. */
const ask = (n: number) => ({
  prompt: prompt(n),
  max_tokens: 64,
  sampling: {
    ...GREEDY,
    temperature: n % 2 ? 0.8 : 0,
    seed: String(n),
    presence_penalty: n === 3 ? 0.5 : 0,
  },
});
const stepsOf = ({ end }: Completed) => (end.type === "done" ? end.counts.steps : Number.NaN);

type Run = { plain: number[][]; hinted: number[][]; steps: number };

/** Each text alone without hints, then all of them at once with right ones. */
async function run(env: Record<string, string>): Promise<Run> {
  const verifier = await startTiny(env);
  const client = await LinkClient.connect(verifier);
  try {
    const numbers = [...Array(PROMPTS).keys()];
    const plain: number[][] = [];
    for (const n of numbers) plain.push((await client.complete({ ...ask(n), drafts: false })).ids);
    const together = await Promise.all(numbers.map((n) => client.complete(ask(n), atOnce(24, plain[n]!))));
    return {
      plain,
      hinted: together.map(({ ids }) => ids),
      steps: together.reduce((sum, completed) => sum + stepsOf(completed), 0),
    };
  } finally {
    client.close();
    expect(await verifier.stop()).toBe(0);
  }
}

let one: Promise<Run> | undefined;
const alone = () => {
  one ??= run({});
  return one;
};

describe("the same text, hinted or not, in as many steps", () => {
  it.each([
    ["two ranks of every layer", { TENSOR_PARALLEL: "2" }],
    ["two stages of layers", { PIPELINE_PARALLEL: "2" }],
    ["two copies", { DATA_PARALLEL: "2" }],
  ])("with %s", async (_, env) => {
    const expected = await alone();
    const found = await run(env);
    expect(expected.hinted).toEqual(expected.plain);
    expect(found.plain).toEqual(expected.plain);
    expect(found.hinted).toEqual(expected.plain);
    // Right hints of 64 ids: at least five times fewer steps, whatever the ranks.
    expect(expected.steps * 5).toBeLessThanOrEqual(PROMPTS * 64);
    expect(found.steps).toBeLessThanOrEqual(expected.steps + PROMPTS);
  });
});
