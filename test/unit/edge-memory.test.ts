import { describe, expect, it } from "vitest";
import { Memory } from "../../edge/drafting/memory/memory.ts";
import type { OutputCache } from "../../edge/drafting/memory/shared.ts";
import { MemorySource } from "../../edge/drafting/memory/source.ts";
import { MemoryStore, MOST_BYTES } from "../../edge/drafting/memory/store.ts";
import { randomFrom } from "../support/random.ts";

const range = (from: number, count: number) => Array.from({ length: count }, (_, i) => from + i);

describe("the store", () => {
  it("stays within 4 MB", () => {
    expect(MOST_BYTES).toBeLessThanOrEqual(4 << 20);
  });

  it("finds a prompt again among many that end alike, the right one", () => {
    const store = new MemoryStore();
    const tail = [7, 8, 9, 10, 11];
    for (let n = 0; n < 100; n++) {
      const prompt = [...range(1000 * n, 40), ...tail];
      store.add("a", [...prompt, ...range(500_000 + 1000 * n, 20)], prompt.length);
    }
    for (const n of [0, 50, 99]) {
      const found = store.find("a", [...range(1000 * n, 40), ...tail])!;
      expect(store.idAt(found)).toBe(500_000 + 1000 * n);
      expect(found.agreed).toBe(45);
    }
  });

  it("tells nobody of others' texts", () => {
    const store = new MemoryStore();
    store.add("a", range(0, 50), 20);
    expect(store.find("b", range(0, 20))).toBeUndefined();
    expect(store.find("a", range(0, 20))).toBeDefined();
  });

  it("forgets the oldest first, and what is used again last", () => {
    const store = new MemoryStore();
    const text = (n: number) => range(10_000 * n, 5_000);
    store.add("a", text(1), 20);
    for (let n = 2; n < 40; n++) store.add("a", text(n), 20);
    store.add("a", text(1), 20);
    for (let n = 40; n < 80; n++) store.add("a", text(n), 20);
    const knows = (n: number) => store.find("a", text(n).slice(0, 40)) !== undefined;
    expect([1, 2, 20, 39, 79].map(knows)).toEqual([true, false, false, true, true]);
    for (let n = 80; n < 140; n++) store.add("a", text(n), 20);
    expect(knows(1)).toBe(false);
  });

  it("never names an id that did not follow, whatever is overwritten meanwhile", () => {
    const random = randomFrom(3);
    const store = new MemoryStore();
    const texts: number[][] = [];
    for (let n = 0; n < 400; n++) {
      const text = Array.from({ length: 500 + random(1500) }, () => random(40));
      texts.push(text);
      store.add("a", text, 30);
      const asked = texts[random(texts.length)]!;
      const end = 8 + random(asked.length - 8);
      const found = store.find("a", asked.slice(0, end));
      if (!found) continue;
      const past = asked.slice(end - Math.min(found.agreed, 12), end).join();
      const id = store.idAt(found);
      const follows = texts.some((other) => `,${other.join()},`.includes(`,${past},${id},`));
      if (id !== undefined) expect(follows).toBe(true);
    }
  });
});

describe("the source", () => {
  it("says a whole text again, finds its place after a difference, and ends with it", () => {
    const store = new MemoryStore();
    const known = range(0, 100);
    store.add("a", known, 40);
    const source = new MemorySource(store, "a");
    const said: number[] = [];
    const text = known.slice(0, 40);
    for (let guess = source.next(text); guess; guess = source.next(text)) {
      said.push(guess.id);
      text.push(guess.id);
    }
    expect(said).toEqual(range(40, 60));
    const other = [...known.slice(0, 50), 777];
    expect(source.next(other)).toBeNull();
    expect(source.next([...other, ...range(60, 4)])).toMatchObject({ id: 64, grade: 0 });
  });
});

describe("memory", () => {
  class FakeCache implements OutputCache {
    readonly kept = new Map<string, string>();
    reads = 0;
    async match(url: string) {
      this.reads++;
      const found = this.kept.get(url);
      return found === undefined ? undefined : new Response(found);
    }
    async put(url: string, response: Response) {
      this.kept.set(url, await response.text());
    }
  }
  const prompt = range(0, 60);
  const output = range(1000, 30);
  const scope = { tenant: "t", target: "m", tokenizer: "h", prompt };
  const open = (cache: OutputCache | undefined, secret = "secret") => {
    const memory = new Memory({ secret, cache: () => cache });
    const work: Promise<unknown>[] = [];
    return {
      recall: (change: object = {}) => memory.recall({ ...scope, ...change }, (one) => work.push(one)),
      settled: () => Promise.all(work),
    };
  };

  it("hands an output on to another isolate of the data centre", async () => {
    const cache = new FakeCache();
    const here = open(cache);
    here.recall().remember(output);
    await here.settled();
    const there = open(cache);
    const { source } = there.recall();
    expect(source.next(prompt, 60)).toBeNull();
    await there.settled();
    expect(await source.next(prompt, 60)).toMatchObject({ id: 1000, grade: 5 });
    // What the isolate knows is not asked for again.
    const before = cache.reads;
    there.recall();
    expect(cache.reads).toBe(before);
  });

  it("names an output by tenant, model, tokenizer, prompt and secret, and shows none of them", async () => {
    const cache = new FakeCache();
    const changes = [{}, { tenant: "u" }, { target: "n" }, { tokenizer: "i" }, { prompt: range(1, 60) }];
    for (const change of changes) {
      const one = open(cache);
      one.recall(change).remember(output);
      await one.settled();
    }
    const other = open(cache, "another secret");
    other.recall().remember(output);
    await other.settled();
    expect(cache.kept.size).toBe(changes.length + 1);
    for (const name of cache.kept.keys())
      expect(name).toMatch(/^https:\/\/memory\.outrider\.invalid\/[\w-]{43}$/);
  });

  it("goes without a cache that fails, is missing or holds rubbish", async () => {
    const failing: OutputCache = {
      match: () => Promise.reject(new Error("no")),
      put: () => Promise.resolve(),
    };
    const holding = (text: string): OutputCache => ({ ...failing, match: async () => new Response(text) });
    for (const cache of [
      undefined,
      failing,
      holding("{"),
      holding('{"a":1}'),
      holding("[1,-2,3,4,5]"),
      holding(`[${"1,".repeat(40_000)}1]`),
    ]) {
      const one = open(cache);
      const recall = one.recall();
      await one.settled();
      expect(recall.source.next(prompt, 60)).toBeNull();
      recall.remember(output);
      await one.settled();
      expect(await one.recall().source.next(prompt, 60)).toMatchObject({ id: 1000 });
    }
  });

  it("keeps a bounded part of a long output, and nothing of one too short to matter", async () => {
    const cache = new FakeCache();
    const one = open(cache);
    one.recall().remember([1, 2]);
    await one.settled();
    expect(cache.kept.size).toBe(0);
    one.recall().remember(range(0, 10_000));
    await one.settled();
    expect(JSON.parse([...cache.kept.values()][0]!)).toHaveLength(2048);
  });
});
