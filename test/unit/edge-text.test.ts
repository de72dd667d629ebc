import { Tokenizer } from "@huggingface/tokenizers";
import { describe, expect, it } from "vitest";
import { promptIds } from "../../edge/api/prompt.ts";
import { Detokenizer } from "../../edge/text/detokenizer.ts";
import { StopScanner } from "../../edge/text/stops.ts";
import { buildTargetText } from "../../edge/text/target-text.ts";
import { tokenBytes, tokenNames, tokenText } from "../../edge/text/token-bytes.ts";
import { MAX_PROMPT_IDS } from "../../gpu-service/protocol/frames.ts";
import {
  END_ID,
  START_ID,
  targetManifest,
  tokenizerConfig,
  tokenizerJson,
  VOCABULARY,
} from "../support/byte-tokenizer.ts";
import { randomFrom } from "../support/random.ts";

const tokenizer = new Tokenizer(tokenizerJson, tokenizerConfig);
const bytesOf = tokenBytes(tokenizer, tokenizerJson.decoder);
const encode = (text: string): number[] => tokenizer.encode(text, { add_special_tokens: false }).ids;
const whole = (ids: number[]) => tokenizer.decode(ids, { skip_special_tokens: true });

const TEXTS = [
  "hello the world",
  "👩‍👩‍👧‍👦 family 🏳️‍🌈 flag",
  "日本語のテキスト、漢字とかな",
  "a\u0000b\u0007c\r\n\t",
  "naïve café — “quotes” … €",
  "العربية עברית हिन्दी",
  "\uFEFFbyte order mark",
];

describe("incremental detokenizing", () => {
  for (const text of TEXTS) {
    it(`gives ${JSON.stringify(text)} back in whole characters`, () => {
      const detokenizer = new Detokenizer(bytesOf);
      const pieces = encode(text).map((id) => detokenizer.push(id));
      expect(pieces.join("") + detokenizer.end()).toBe(text);
      for (const piece of pieces) expect(piece).not.toContain("\uFFFD");
    });
  }

  it("equals decoding at once for random ids, most of which are not UTF-8", () => {
    const random = randomFrom(7);
    for (let round = 0; round < 500; round++) {
      const ids = Array.from({ length: 1 + random(24) }, () => random(VOCABULARY));
      const detokenizer = new Detokenizer(bytesOf);
      const text = ids.map((id) => detokenizer.push(id)).join("") + detokenizer.end();
      expect(text).toBe(whole(ids));
    }
  });

  it("ends with U+FFFD inside a character", () => {
    const detokenizer = new Detokenizer(bytesOf);
    const shown = encode("😀")
      .slice(0, 2)
      .map((id) => detokenizer.push(id));
    expect(shown.join("")).toBe("");
    expect(detokenizer.end()).toBe("\uFFFD");
  });

  it("shows nothing for special tokens and for ids beyond the vocabulary", () => {
    const detokenizer = new Detokenizer(bytesOf);
    expect([START_ID, END_ID, VOCABULARY + 5].map((id) => detokenizer.push(id)).join("")).toBe("");
  });

  it("names what is not whole characters in logprobs", () => {
    expect(tokenText(Uint8Array.of(0xf0, 0x9f))).toBe("bytes:\\xf0\\x9f");
    expect(tokenText(Uint8Array.of(0xc3, 0xa9))).toBe("é");
  });

  it("calls special tokens by their names in logprobs", () => {
    const nameOf = tokenNames(tokenizer, bytesOf);
    expect([...encode("he"), END_ID, START_ID, 0xe9].map(nameOf)).toEqual([
      ...["he", "<|end|>", "<|start|>", "bytes:\\xe9"],
    ]);
  });

  it("reads SentencePiece pieces", () => {
    const added: never[] = [];
    const model = {
      type: "BPE",
      vocab: { "▁a": 0, "<0xE2>": 1, "<0x82>": 2, "<0xAC>": 3, b: 4 },
      merges: [],
      unk_token: "b",
      byte_fallback: true,
    };
    const decoder = {
      type: "Sequence",
      decoders: [{ type: "Replace" }, { type: "ByteFallback" }, { type: "Fuse" }],
    };
    const sentencePiece = new Tokenizer(
      {
        added_tokens: added,
        normalizer: null,
        pre_tokenizer: null,
        post_processor: null,
        decoder: null,
        model,
      },
      tokenizerConfig,
    );
    const detokenizer = new Detokenizer(tokenBytes(sentencePiece, decoder));
    expect([0, 1, 2, 3, 4].map((id) => detokenizer.push(id))).toEqual([" a", "", "", "€", "b"]);
  });

  it("refuses a decoder that it does not know", () => {
    expect(() => tokenBytes(tokenizer, { type: "WordPiece" })).toThrow("WordPiece");
  });
});

describe("stop strings", () => {
  const scan = (stops: string[], pieces: string[]) => {
    const scanner = new StopScanner(stops);
    const shown: string[] = [];
    for (const piece of pieces) {
      const { text, stopped } = scanner.push(piece);
      shown.push(text);
      if (stopped) return { shown, stopped };
    }
    shown.push(scanner.end());
    return { shown, stopped: false };
  };

  it("holds a beginning back until it is clear", () => {
    expect(scan(["END"], ["a E", "N", "X b"])).toEqual({ shown: ["a ", "", "ENX b", ""], stopped: false });
    expect(scan(["END"], ["a E", "N", "D b"])).toEqual({ shown: ["a ", "", ""], stopped: true });
  });

  it("shows what it held when the text ends otherwise", () => {
    expect(scan(["\n\n"], ["line\n"])).toEqual({ shown: ["line", "\n"], stopped: false });
  });

  it("ends at the earliest of several, whatever the splits", () => {
    const random = randomFrom(11);
    const stops = ["aab", "bb", "abc"];
    for (let round = 0; round < 2_000; round++) {
      const text = Array.from({ length: random(14) }, () => "abc"[random(3)]).join("");
      const at = Math.min(...stops.map((stop) => text.indexOf(stop)).filter((found) => found >= 0));
      const pieces: string[] = [];
      for (let from = 0; from < text.length; ) {
        const to = from + 1 + random(3);
        pieces.push(text.slice(from, to));
        from = to;
      }
      const { shown, stopped } = scan(stops, pieces);
      const isWhole = at === Number.POSITIVE_INFINITY;
      expect(stopped).toBe(!isWhole);
      // A stop string that completes first may begin later than one that is still open: the first completed one counts.
      if (isWhole) expect(shown.join("")).toBe(text);
      else expect(stops.some((stop) => text.startsWith(shown.join("") + stop))).toBe(true);
    }
  });
});

describe("the target's text", () => {
  const text = buildTargetText(targetManifest("0".repeat(64), 1), tokenizerJson, tokenizerConfig);

  it("renders chats by the template, special tokens included", () => {
    const rendered = text.chat!([{ role: "user", content: "hi" }]);
    expect(rendered).toEqual({ ok: true, text: "<|start|>user: hi<|end|><|start|>assistant: " });
    if (rendered.ok) expect(text.encode(rendered.text, false)[0]).toBe(START_ID);
  });

  it("turns a template's refusal into a message", () => {
    const rendered = text.chat!([{ role: "assistant", content: "hi" }]);
    expect(rendered).toEqual({ ok: false, message: expect.stringContaining("must not be the assistant") });
  });

  it("has no more context than the link carries, and knows how long a text may be for it", () => {
    const manifest = { ...targetManifest("0".repeat(64), 1), context: 131_072 };
    const wide = buildTargetText(manifest, tokenizerJson, tokenizerConfig);
    expect(wide.manifest.context).toBe(MAX_PROMPT_IDS);
    const longest = Math.max(...[...tokenizer.get_vocab().keys()].map((piece) => piece.length));
    expect(wide.mostCharacters).toBe(MAX_PROMPT_IDS * longest);
  });
});

describe("filling in a middle", () => {
  const withTokens = (names: readonly string[]) => {
    const added = names.map((content, i) => ({
      ...tokenizerJson.added_tokens[0]!,
      id: VOCABULARY + i,
      content,
    }));
    const json = { ...tokenizerJson, added_tokens: [...tokenizerJson.added_tokens, ...added] };
    return buildTargetText(targetManifest("0".repeat(64), 0), json, tokenizerConfig);
  };

  it.each([
    [["<fim_prefix>", "<fim_suffix>", "<fim_middle>"]],
    [["<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"]],
    [["<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"]],
  ])("is known by the model's own tokens: %j", (names) => {
    expect(withTokens(names).infill).toEqual({
      prefix: VOCABULARY,
      suffix: VOCABULARY + 1,
      middle: VOCABULARY + 2,
    });
  });

  it("needs all three", () => {
    expect(withTokens(["<fim_prefix>", "<fim_suffix>"]).infill).toBeUndefined();
    expect(withTokens([]).infill).toBeUndefined();
  });

  it("puts the prompt and what follows around it", () => {
    const text = withTokens(["<fim_prefix>", "<fim_suffix>", "<fim_middle>"]);
    const request = { suffix: "}" } as never;
    const [prefix, suffix, middle] = [VOCABULARY, VOCABULARY + 1, VOCABULARY + 2];
    const expected = [prefix, ...encode("{ "), suffix, ...encode("}"), middle];
    expect(promptIds("{ ", request, text)).toEqual(expected);
    expect(promptIds(encode("{ "), request, text)).toEqual(expected);
  });
});
