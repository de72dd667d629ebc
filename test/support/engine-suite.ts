/**
 * What the link may rely on, whichever engine is behind it: one table of behaviours that every engine passes.
 *
 * The tiny target's texts mean nothing, but they are an engine's own: each test compares an engine with itself.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { LogprobEntry, VerifierFrame } from "../../gpu-service/protocol/frames.ts";
import { adversarial, atOnce, honest, random } from "./hinters.ts";
import { type Ask, type Completed, type Hinter, LinkClient } from "./link-client.ts";
import { GREEDY } from "./sequences.ts";
import type { VerifierProcess } from "./verifier-process.ts";

export type EngineUnderTest = {
  /** Starts a verifier with 4 slots, a queue of 8 and a context of 512. */
  start(): Promise<VerifierProcess>;
  /** Prefixes are reused in whole blocks of so many ids. */
  cacheBlock: number;
  /** The largest difference of a log probability between hinted and plain. */
  logprobsWithin: number;
};

const PATIENT = { timeout: 30_000 };
const SETTINGS = {
  ...GREEDY,
  temperature: 1,
  top_k: 40,
  top_p: 0.9,
  min_p: 0.02,
  seed: "99",
  presence_penalty: 0.6,
  frequency_penalty: 0.4,
  logit_bias: [
    [7, 1.5],
    [11, -100],
  ] as [number, number][],
};

export function describeEngine(name: string, engine: EngineUnderTest): void {
  describe(name, () => {
    let verifier: VerifierProcess;
    let client: LinkClient;

    beforeAll(async () => {
      verifier = await engine.start();
      client = await LinkClient.connect(verifier);
    });
    afterAll(async () => {
      client?.close();
      expect(await verifier?.stop()).toBe(0);
    });

    const prompt = (n: number, length = 24): number[] =>
      Array.from({ length }, (_, i) => (i * 37 + n * 101 + ((i * n) % 7) * 11) % verifier.vocabSize);
    const sampled = (n: number, temperature = 0.8): Ask => ({
      prompt: prompt(n),
      sampling: { ...GREEDY, temperature, seed: String(n * 7 + 1) },
    });
    const plain = (ask: Ask) => client.complete({ ...ask, drafts: false });
    const expectSame = async (ask: Ask, hinters: Record<string, Hinter | undefined>) => {
      const { ids } = await plain(ask);
      for (const [kind, hinter] of Object.entries(hinters))
        expect((await client.complete(ask, hinter)).ids, kind).toEqual(ids);
    };

    describe("its text does not depend on hints", () => {
      it.each([
        [1, 0],
        [2, 0.8],
        [3, 1.5],
      ])("prompt %i at temperature %f, under every kind of them", async (n, temperature) => {
        const ask = sampled(n, temperature);
        const { length } = ask.prompt;
        const { ids } = await plain(ask);
        expect(ids).toHaveLength(48);
        await expectSame(ask, {
          none: undefined,
          honest: honest(length, ids),
          random: random(length, verifier.vocabSize, n),
          adversarial: adversarial(length, verifier.vocabSize, ids),
          branching: branching(length, ids),
        });
      });

      it("with penalties, bias, top-k, top-p and min-p too", async () => {
        const ask = { prompt: prompt(5), sampling: SETTINGS };
        const { ids } = await plain(ask);
        expect(ids).not.toContain(11);
        await expectSame(ask, {
          honest: honest(24, ids),
          adversarial: adversarial(24, verifier.vocabSize, ids),
        });
      });

      it("nor do its logprobs", async () => {
        const ask = { prompt: prompt(6), sampling: SETTINGS, logprobs: 3 };
        const reference = await plain(ask);
        const hinted = await client.complete(ask, honest(24, reference.ids));
        expect(hinted.ids).toEqual(reference.ids);
        const [expected, found] = [logprobsOf(reference), logprobsOf(hinted)];
        expect(expected).toHaveLength(48);
        expect(furthest(expected, found)).toBeLessThanOrEqual(engine.logprobsWithin);
        for (const { logprob, top } of expected) {
          expect(top).toHaveLength(3);
          expect(top[0]![1]).toBeGreaterThanOrEqual(Math.max(logprob, top[2]![1]));
        }
      });

      it("and right ones save steps, of each source under its name", async () => {
        const ask = { ...sampled(7, 0), max_tokens: 96 };
        const { ids, end } = await plain(ask);
        expect(end).toMatchObject({ type: "done", counts: { steps: expect.any(Number), drafted: {} } });
        const hinted = await client.complete(ask, atOnce(24, ids));
        expect(hinted.ids).toEqual(ids);
        if (end.type !== "done" || hinted.end.type !== "done") throw new Error("not done");
        const { drafted, accepted, steps } = hinted.end.counts;
        expect(Object.keys(drafted)).toEqual(["memory"]);
        expect(accepted.memory).toEqual(drafted.memory);
        expect(steps * 2).toBeLessThan(end.counts.steps);
        const confirmed = hinted.frames.filter((frame) => frame.type === "tokens");
        const foretold = confirmed.reduce((sum, frame) => sum + frame.accepted, 0);
        expect(foretold).toBe(accepted.memory!.reduce((a, b) => a + b, 0));
      });
    });

    describe("its text is the target's own", () => {
      it("beside other sequences as alone, more of them than slots, prompts of all lengths", async () => {
        const asks = Array.from({ length: 9 }, (_, i) => ({
          ...sampled(i + 10),
          prompt: prompt(i, 3 + i * 31),
        }));
        const alone: number[][] = [];
        for (const ask of asks) alone.push((await plain(ask)).ids);
        const together = await Promise.all(
          asks.map((ask, i) =>
            client.complete(ask, i % 3 ? honest(ask.prompt.length, alone[i]!) : undefined),
          ),
        );
        expect(together.map((c) => c.ids)).toEqual(alone);
      });

      it("the same for a seed, another for another", async () => {
        const texts = [];
        for (const seed of ["5", "5", "18446744073709551615"]) {
          const sampling = { ...GREEDY, temperature: 1.5, seed };
          texts.push((await client.complete({ prompt: prompt(8), sampling })).ids);
        }
        expect(texts[1]).toEqual(texts[0]);
        expect(texts[2]).not.toEqual(texts[0]);
      });

      it("when its prompt begins like an earlier one, which is not run again within the tenant", async () => {
        const long = prompt(30, 320);
        const ask = { ...sampled(31), prompt: [...long.slice(0, 300), ...prompt(32, 20)] };
        const alone = await client.complete({ ...ask, tenant: "elsewhere" });
        await client.complete({ prompt: long, max_tokens: 8 });
        const { ids, frames } = await client.complete(ask);
        expect(ids).toEqual(alone.ids);
        const cached = Math.floor(300 / engine.cacheBlock) * engine.cacheBlock;
        expect(frames[0]).toMatchObject({ type: "opened", prompt_tokens: 320, cached_tokens: cached });
        expect(alone.frames[0]).toMatchObject({ cached_tokens: 0 });
      });

      it("when it is resumed from confirmed ids, penalties included", async () => {
        for (const sampling of [sampled(20).sampling!, SETTINGS]) {
          const ask = { prompt: prompt(20), sampling };
          const { ids } = await client.complete(ask);
          const confirmed = ids.slice(0, 19);
          const rest = await client.complete({ ...ask, confirmed, numerics: verifier.numerics });
          expect(rest.ids).toEqual(ids.slice(19));
          expect(rest.frames.find((f) => f.type === "tokens")).toMatchObject({ at: 24 + 19 });
        }
      });

      it("and scores its prompt as it would have drawn it", async () => {
        const ask = { prompt: prompt(9), logprobs: 2 };
        const { ids, frames } = await plain(ask);
        const whole = [...ask.prompt, ...ids];
        const scored = await client.complete({ prompt: whole, prompt_logprobs: 2, max_tokens: 0 });
        expect(scored.end).toMatchObject({ type: "done", reason: "length" });
        expect(scored.ids).toEqual([]);
        const opened = scored.frames[0] as Extract<VerifierFrame, { type: "opened" }>;
        expect(opened.prompt_logprobs).toHaveLength(whole.length);
        expect(opened.prompt_logprobs![0]).toBeNull();
        const entries = opened.prompt_logprobs!.slice(ask.prompt.length) as LogprobEntry[];
        const drawn = frames.flatMap((f) => (f.type === "tokens" ? (f.logprobs ?? []) : []));
        expect(furthest(drawn, entries)).toBeLessThan(1e-4);
      });
    });

    describe("it ends", () => {
      it("at the earliest stop id, inside an accepted block too", async () => {
        const ask = sampled(21);
        const { ids } = await plain(ask);
        const at = ids.findIndex((id, i) => i > 12 && !ids.slice(0, i).includes(id));
        const cut = await client.complete({ ...ask, stop_ids: [ids[at]!] }, honest(24, ids));
        expect(cut.ids).toEqual(ids.slice(0, at + 1));
        expect(cut.end).toMatchObject({ type: "done", reason: "stop" });
      });

      it.each([1, 2, 17])("at a cap of %i, inside an accepted block too", async (max_tokens) => {
        const ask = sampled(22);
        const { ids } = await plain(ask);
        const capped = await client.complete({ ...ask, max_tokens }, honest(24, ids));
        expect(capped.ids).toEqual(ids.slice(0, max_tokens));
        expect(capped.end).toMatchObject({ type: "done", reason: "length" });
      });

      it("at the context's end", async () => {
        const long = { prompt: prompt(23, 500), max_tokens: 100 };
        const { ids, end } = await plain(long);
        expect(ids).toHaveLength(12);
        expect(end).toMatchObject({ type: "done", reason: "length" });
        expect((await client.complete(long, honest(500, ids))).ids).toEqual(ids);
      });

      it("without a step where nothing is to be added", async () => {
        const { ids } = await plain(sampled(24));
        for (const [max_tokens, stop_ids, reason] of [
          [5, [], "length"],
          [48, [ids[4]!], "stop"],
        ] as const) {
          const ask = { ...sampled(24), max_tokens, stop_ids: [...stop_ids], confirmed: ids.slice(0, 5) };
          const { frames, end } = await client.complete({ ...ask, numerics: verifier.numerics });
          expect(frames.map((f) => f.type)).toEqual(["opened", "done"]);
          expect(end).toMatchObject({ reason, counts: { steps: 0 } });
        }
      });

      it("on cancel, and its slot is free", async () => {
        let tokens = 0;
        const { end } = await client.complete({ prompt: prompt(1), max_tokens: 400 }, undefined, (stream) => {
          if (++tokens === 3) client.send({ type: "cancel", stream });
        });
        expect(end).toMatchObject({ type: "done", reason: "cancelled" });
        expect((await plain({ prompt: prompt(1), max_tokens: 4 })).ids).toHaveLength(4);
      });

      it("with its socket, those that wait for a slot too", async () => {
        const other = await LinkClient.connect(verifier);
        for (let n = 0; n < 12; n++)
          other.send(await other.openFrame({ prompt: prompt(n), max_tokens: 400 }));
        await expect.poll(() => metric("sequences_queued"), PATIENT).toBeGreaterThan(0);
        other.socket.terminate();
        await expect.poll(() => metric("sequences_active"), PATIENT).toBe(0);
        expect(await metric("sequences_queued")).toBe(0);
      });
    });

    describe("it refuses", () => {
      it.each<[string, () => Ask, object]>([
        ["unknown ids", () => ({ prompt: [1, 0xff_ffff] }), { code: "invalid_request" }],
        ["a prompt beyond its context", () => ({ prompt: prompt(1, 600) }), { code: "context_too_long" }],
        [
          "ids confirmed under other numerics",
          () => ({ prompt: [1], confirmed: [1], numerics: "x" }),
          { code: "numerics_mismatch" },
        ],
      ])("%s", async (_, ask, expected) => {
        const { end } = await client.complete(ask());
        expect(end).toMatchObject({ type: "error", retryable: false, ...expected });
      });

      it("more than may wait, worth another try", async () => {
        const other = await LinkClient.connect(verifier);
        const opens = await Promise.all(
          Array.from({ length: 16 }, (_, n) => other.openFrame({ prompt: prompt(n), max_tokens: 400 })),
        );
        const refused = Promise.any(
          opens.map(async ({ stream }) => {
            const answer = await other.next(stream);
            return answer.type === "error" ? answer : Promise.reject(answer);
          }),
        );
        for (const open of opens) other.send(open);
        expect(await refused).toMatchObject({ code: "overloaded", retryable: true });
        other.socket.terminate();
        await expect.poll(() => metric("sequences_active"), PATIENT).toBe(0);
      });
    });

    async function metric(key: string): Promise<number> {
      const text = await (await fetch(`http://127.0.0.1:${verifier.port}/metrics`)).text();
      return Number(new RegExp(`^outrider_verify_${key} (\\S+)$`, "m").exec(text)?.[1]);
    }
  });
}

/** A line that is wrong from its second id on, and a branch there that is right, in two parts; a new path after each step. */
function branching(promptTokens: number, text: readonly number[]): Hinter {
  let path = 0;
  return (output) => {
    const at = promptTokens + output.length;
    const [first, ...rest] = text.slice(output.length, output.length + 8);
    if (first === undefined || rest.length === 0) return [];
    const wrong = rest.map((id) => (id + 1) % 1000);
    const line = { path: path++, at, ids: [first, ...wrong], source: "lookup" as const };
    const begun = { ...line, branches: [{ at: at + 1, ids: rest.slice(0, 2) }] };
    const grown = { ...line, branches: [{ at: at + 1, from: 2, ids: rest.slice(2) }] };
    return rest.length > 2 ? [begun, grown] : [begun];
  };
}

const logprobsOf = ({ frames }: Completed): LogprobEntry[] =>
  frames.flatMap((frame) => (frame.type === "tokens" ? (frame.logprobs ?? []) : []));

/** The largest difference of a log probability; Infinity where ids or their number differ. */
function furthest(expected: readonly LogprobEntry[], found: readonly LogprobEntry[]): number {
  if (expected.length !== found.length) return Number.POSITIVE_INFINITY;
  return Math.max(...expected.map((entry, i) => Math.abs(entry.logprob - found[i]!.logprob)));
}
