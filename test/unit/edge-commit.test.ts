import { Tokenizer } from "@huggingface/tokenizers";
import { describe, expect, it } from "vitest";
import { type CommittedToken, Committer } from "../../edge/completion/commit.ts";
import { tokenBytes } from "../../edge/text/token-bytes.ts";
import { END_ID, tokenizerConfig, tokenizerJson } from "../support/byte-tokenizer.ts";
import { randomFrom } from "../support/random.ts";

const tokenizer = new Tokenizer(tokenizerJson, tokenizerConfig);
const bytesOf = tokenBytes(tokenizer, tokenizerJson.decoder);
const encode = (text: string): number[] => tokenizer.encode(text, { add_special_tokens: false }).ids;

type Frame = Parameters<Committer["commit"]>[0];
function commitAll(frames: Frame[], { stops = [] as string[], maxTokens = 1000 } = {}) {
  const committer = new Committer({ bytesOf, stops, maxTokens, endIds: [END_ID] });
  let text = "";
  const tokens: CommittedToken[] = [];
  for (const frame of frames) {
    const { deltas, finish } = committer.commit(frame);
    text += deltas.map((delta) => delta.text).join("");
    tokens.push(...deltas.flatMap((delta) => delta.tokens));
    if (finish) return { text, finish, count: committer.ids.length, tokens };
  }
  return { text, finish: null, count: committer.ids.length, tokens };
}
const frame = (ids: number[], accepted = 0): Frame => ({ ids, accepted, source: "lookup" });

describe("committing", () => {
  it("ends at the earliest of stop string, end id and cap, however ids are cut into frames", () => {
    const random = randomFrom(3);
    const ids = [...encode("in the world of whales, 鯨 and all"), END_ID, ...encode("never shown")];
    for (let round = 0; round < 300; round++) {
      const maxTokens = 1 + random(ids.length);
      const stops = ["world of", "whale", "鯨 a", "nothing"].filter(() => random(3) === 0);
      const frames: Frame[] = [];
      for (let from = 0; from < ids.length; ) {
        const to = from + 1 + random(6);
        frames.push(frame(ids.slice(from, to), random(3)));
        from = to;
      }
      const { text, finish, count } = commitAll(frames, { stops, maxTokens });
      expect({ text, finish, count }).toEqual(reference(ids, stops, maxTokens));
    }
  });

  it("counts the token that completes a stop string, not those behind it", () => {
    const ids = encode("hello world");
    expect(commitAll([frame(ids)], { stops: ["lo"] })).toMatchObject({
      text: "hel",
      finish: "stop",
      count: 3,
    });
  });

  it("delivers half a character as U+FFFD at the cap", () => {
    const ids = encode("a😀");
    expect(commitAll([frame(ids)], { maxTokens: 3 })).toMatchObject({
      text: "a\uFFFD",
      finish: "length",
      count: 3,
    });
  });

  it("gives each stretch of one source a delta of its own", () => {
    const committer = new Committer({ bytesOf, stops: [], maxTokens: 100, endIds: [END_ID] });
    const { deltas } = committer.commit({ ids: encode("abc"), accepted: 2, source: "model" });
    expect(deltas).toMatchObject([
      { text: "ab", source: "model", count: 2 },
      { text: "c", source: null, count: 1 },
    ]);
  });

  it("delivers tokens with their text, each once, with offsets into the completion", () => {
    const ids = encode("héllo the end");
    const { text, tokens } = commitAll(
      ids.map((id) => frame([id])),
      { maxTokens: ids.length },
    );
    expect(tokens.map(({ id }) => id)).toEqual(ids);
    expect(text).toBe("héllo the end");
    for (const { id, offset } of tokens) {
      const shown = new TextDecoder().decode(bytesOf(id));
      if (!shown.includes("\uFFFD")) expect(text.slice(offset)).toMatch(new RegExp(`^${shown}`));
    }
  });

  it("delivers the token that ends the text as one without text", () => {
    const { tokens } = commitAll([frame([...encode("he"), END_ID, 7])]);
    expect(tokens.map(({ id, offset, isEnd }) => [id, offset, isEnd])).toEqual([
      [encode("he")[0], 0, undefined],
      [END_ID, 2, true],
    ]);
  });

  it("shows the token in which a stop string begins only if some of its text is shown", () => {
    const shown = (stops: string[]) =>
      commitAll([frame(encode("hello"))], { stops }).tokens.map(({ offset }) => offset);
    expect(shown(["llo"])).toEqual([0]);
    expect(shown(["lo"])).toEqual([0, 2]);
  });
});

/** One id at a time, the whole text decoded anew each time. */
function reference(ids: number[], stops: string[], maxTokens: number) {
  const decoded = (upTo: number) => tokenizer.decode(ids.slice(0, upTo), { skip_special_tokens: true });
  for (let n = 1; n <= ids.length; n++) {
    const isEnd = ids[n - 1] === END_ID;
    const whole = decoded(n).replace(/\uFFFD+$/, "");
    const hits = stops.map((stop) => whole.indexOf(stop)).filter((at) => at >= 0);
    if (hits.length > 0) return { text: whole.slice(0, Math.min(...hits)), finish: "stop", count: n };
    if (isEnd) return { text: decoded(n), finish: "stop", count: n };
    if (n >= maxTokens) return { text: decoded(n), finish: "length", count: n };
  }
  return { text: decoded(ids.length), finish: null, count: ids.length };
}
