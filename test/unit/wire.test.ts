import { describe, expect, it } from "vitest";
import {
  type EdgeFrame,
  HINT_SOURCES,
  MAX_BRANCHES,
  MAX_FRAME_BYTES,
  MAX_HINT_IDS,
  type OpenFrame,
  type Sampling,
  type VerifierFrame,
} from "../../gpu-service/protocol/frames.ts";
import {
  encodeEdgeFrame,
  encodeVerifierFrame,
  parseEdgeFrame,
  parseVerifierFrame,
} from "../../gpu-service/protocol/wire.ts";
import { randomFrom } from "../support/random.ts";
import { GREEDY } from "../support/sequences.ts";

const HINT = { type: "hint", stream: 1, path: 3, at: 17, ids: [284, 198], source: "model" } as const;
const TOKENS = { type: "tokens", stream: 1, at: 17, ids: [284, 198], accepted: 1, source: "model" } as const;
const random = randomFrom(13);
/** Packed or not. */
const ids = (most: number) => {
  const below = 2 ** one([8, 15, 20, 24]);
  return Array.from({ length: 1 + random(most) }, () => random(below));
};
const one = <T>(values: readonly T[]): T => values[random(values.length)]!;

const anyHint = (): EdgeFrame => ({
  type: "hint",
  stream: 1 + random(2 ** 32 - 1),
  path: random(2 ** 32),
  at: random(2 ** 32),
  ids: ids(MAX_HINT_IDS),
  source: one(HINT_SOURCES),
  ...(random(2) && {
    branches: Array.from({ length: 1 + random(MAX_BRANCHES) }, () => ({
      at: random(2 ** 32),
      ...(random(2) && { from: 1 + random(MAX_HINT_IDS - 1) }),
      ids: ids(9),
    })),
  }),
});
const anyTokens = (): VerifierFrame => ({
  type: "tokens",
  stream: 1 + random(2 ** 32 - 1),
  at: random(2 ** 32),
  ids: ids(MAX_HINT_IDS + 1),
  accepted: random(MAX_HINT_IDS + 1),
  ...(random(2) && { source: one(HINT_SOURCES) }),
  ...(random(4) === 0 && { logprobs: [{ logprob: -0.5, top: [[7, -0.5] as [number, number]] }] }),
});

const OPEN: OpenFrame = {
  ...{ type: "open", stream: 1, protocol: 2, target: "m", tokenizer: "a".repeat(64), prompt: [1, 2] },
  ...{ sampling: GREEDY, max_tokens: 9, stop_ids: [2], drafts: true, tenant: "t", token: "v2.x.y" },
};

describe("frames on the wire", () => {
  it("name only the sampling settings that change something", () => {
    expect(JSON.parse(encodeEdgeFrame(OPEN)).sampling).toEqual({ temperature: 0, seed: "1" });
    const settings: Partial<Sampling>[] = [
      { top_p: 0.5, top_k: 3, min_p: 0.1, presence_penalty: 1, frequency_penalty: -1, temperature: 2 },
      { logit_bias: [[7, -100]], seed: "18446744073709551615" },
      {},
    ];
    for (const some of settings) {
      const open = { ...OPEN, sampling: { ...GREEDY, ...some } };
      expect(parseEdgeFrame(encodeEdgeFrame(open))).toEqual({ ok: true, frame: open });
      expect(parseEdgeFrame(JSON.stringify(open))).toEqual({ ok: true, frame: open });
    }
  });

  it.each([
    [HINT, `[1,3,17,"EcDG"]`],
    [{ ...HINT, source: "memory" }, `[1,3,17,"EcDG","r"]`],
    [{ ...HINT, branches: [{ at: 18, ids: [5] }] }, `[1,3,17,"EcDG",1,"AF"]`],
    [
      {
        ...HINT,
        source: "lookup",
        branches: [
          { at: 16, ids: [5] },
          { at: 19, ids: [5, 2] },
        ],
      },
      `[1,3,17,"EcDG","l",-1,"AF",2,"AFAC"]`,
    ],
    [
      {
        ...HINT,
        branches: [
          { at: 18, from: 63, ids: [5] },
          { at: 17, ids: [2] },
        ],
      },
      `[1,3,17,"EcDG",1,63,"AF",0,"AC"]`,
    ],
    [{ ...HINT, ids: [198, 1_100_800] }, `[1,3,17,[198,1100800]]`],
    [{ type: "cancel", stream: 2 }, `{"type":"cancel","stream":2}`],
  ] as [EdgeFrame, string][])("an edge sends %j as %s", (frame, text) => {
    expect(encodeEdgeFrame(frame)).toBe(text);
  });
  it.each([
    [TOKENS, `[1,17,"EcDG",1,"m"]`],
    [{ type: "tokens", stream: 1, at: 17, ids: [5], accepted: 0 }, `[1,17,"AF"]`],
    [{ ...TOKENS, accepted: 0, source: "lookup" }, `[1,17,"EcDG",0,"l"]`],
  ] as [VerifierFrame, string][])("a verifier sends %j as %s", (frame, text) => {
    expect(encodeVerifierFrame(frame)).toBe(text);
  });

  it("come back as they were, short or as objects", () => {
    for (let round = 0; round < 500; round++) {
      const hint = anyHint();
      expect(parseEdgeFrame(encodeEdgeFrame(hint))).toEqual({ ok: true, frame: hint });
      expect(parseEdgeFrame(JSON.stringify(hint))).toEqual({ ok: true, frame: hint });
      const tokens = anyTokens();
      expect(parseVerifierFrame(encodeVerifierFrame(tokens))).toEqual({ ok: true, frame: tokens });
      expect(parseVerifierFrame(JSON.stringify(tokens))).toEqual({ ok: true, frame: tokens });
    }
  });
});

/** Values that are wrong somewhere, or only just right. */
const ODD: unknown[] = [
  ...[null, -1, 0, 1, 0.5, 64, 65, 2 ** 24 - 1, 2 ** 24, 2 ** 32 - 1, 2 ** 32, "1", true, {}],
  ...[[], [1], [-1], [2 ** 24], [0.1], ["1"], [[1]], Array(64).fill(1), Array(65).fill(1), Array(66).fill(1)],
  ...["m", "l", "h", "t", "model", "guess", "none"],
  ...["", "AF", "EcDG", "w_8", "-A_z", "AF=", "A", "wA", "8AA", "A+", "A/", "Aé", "A F", "wA F"],
  ...["v_".repeat(64), "___A".repeat(64), "v_".repeat(65), "AF".repeat(66)],
  ...[[[1, "AC"]], [[1, ""]], [[1, "A="]]],
  ...[[[1, [2]]], [[1, []]], [[-1, [2]]], [[1, [2], 3]], [[1, Array(65).fill(1)]], Array(9).fill([1, [2]])],
];
const LETTERS: Record<string, string> = {
  ...{ m: "model", l: "lookup", r: "memory", p: "prediction", g: "guess" },
};
const source = (letter: unknown) => (typeof letter === "string" ? (LETTERS[letter] ?? "none") : letter);
/** Decoded by Node: filled up with As, the characters of an id are the three bytes of a number. */
const list = (value: unknown) => {
  if (typeof value !== "string" || !/^([A-Za-v][\w-]|[w-z0-7][\w-]{2}|[89_-][\w-]{3})*$/.test(value))
    return value;
  return (value.match(/[A-Za-v].|[w-z0-7]..|[89_-].../g) ?? []).map((id) => {
    const less = [0, 0, 0, 48 * 64 ** 2 - 3_072, 60 * 64 ** 3 - 52_224][id.length]!;
    return Buffer.from(id.padStart(4, "A"), "base64url").readUIntBE(0, 3) - less;
  });
};
function branches(at: unknown, entries: readonly unknown[]): object[] {
  if (entries.length === 0) return [];
  const [offset, ...rest] = entries;
  const from = typeof rest[0] === "number" ? rest.shift() : undefined;
  const branch = {
    at: Number.isInteger(offset) ? Number(at) + Number(offset) : offset,
    from,
    ids: list(rest[0]),
  };
  return [branch, ...branches(at, rest.slice(1))];
}

/** A frame of `fields` with up to three entries replaced at random. */
function mangled(fields: readonly unknown[]): unknown[] {
  const tuple = [...fields];
  for (let changes = random(4); changes > 0; changes--) tuple[random(tuple.length)] = one(ODD);
  return tuple;
}

describe("a tuple", () => {
  it("is taken exactly if the object that it stands for is", () => {
    let good = 0;
    for (let round = 0; round < 3_000; round++) {
      const h = mangled([1, 3, 17, [284, 198], ...one([["l"], []]), 1, ...one([[3], []]), [5]]);
      const hasLetter = typeof h[4] === "string";
      const asHint = {
        stream: h[0],
        path: h[1],
        at: h[2],
        ids: list(h[3]),
        source: source(hasLetter ? h[4] : "m"),
      };
      const hint = { type: "hint", ...asHint, branches: branches(h[2], h.slice(hasLetter ? 5 : 4)) };
      const t = mangled([1, 17, [284, 198], 1, "m"]);
      const asTokens = { stream: t[0], at: t[1], ids: list(t[2]), accepted: t[3], source: source(t[4]) };
      const tokens = { type: "tokens", ...asTokens };
      const short = [parseEdgeFrame(JSON.stringify(h)).ok, parseVerifierFrame(JSON.stringify(t)).ok];
      const long = [parseEdgeFrame(JSON.stringify(hint)).ok, parseVerifierFrame(JSON.stringify(tokens)).ok];
      expect([h, t, ...short]).toEqual([h, t, ...long]);
      good += Number(short[0]) + Number(short[1]);
    }
    expect(good).toBeGreaterThan(1_000);
    expect(good).toBeLessThan(5_000);
  });

  it.each([
    [`["1"]`, "frame: stream:"],
    [`[0,3,17,[1]]`, "frame: stream:"],
    [`[1,-3,17,[1]]`, "frame: path:"],
    [`[1,3,0.5,[1]]`, "frame: at:"],
    [`[1,3,17,[]]`, "frame: ids:"],
    [`[1,3,17,[16777216]]`, "frame: ids:"],
    [`[1,3,17,""]`, "frame: ids: are not 1 to 64 token ids"],
    [`[1,3,17,"AFA"]`, "frame: ids:"],
    [`[1,3,17,"A="]`, "frame: ids:"],
    [`[1,3,17,"${"AF".repeat(65)}"]`, "frame: ids:"],
    [`[1,3,17,[1],"m",1,"AF",1,"A é"]`, "frame: branches.1.ids:"],
    [`[1,3,17,[1],"x"]`, "frame: source:"],
    [`[1,3,17,[1],"m",1]`, "frame: branches.0.ids:"],
    [`[1,3,17,[1]${`,1,"AF"`.repeat(9)}]`, "frame: branches:"],
    [`[1,3,17,[1],1,0,[2]]`, "frame: branches.0.from: is not from 1 to 63"],
    [`[1,3,17,[1],1,64,[2]]`, "frame: branches.0.from:"],
    [`[1,3,17,[1],1,1.5,[2]]`, "frame: branches.0.from:"],
    [`[1,3,17,[1],1,2,3,[2]]`, "frame: branches.0.ids:"],
    [`[1,3,17,[1],{},[2]]`, "frame: branches.0.at:"],
    [`[1,3,17,[1],-18,[2]]`, "frame: branches.0.at:"],
    [`[1,3,17,[1],"m",1,[2],1.5,[2]]`, "frame: branches.1.at:"],
    [`[1,3,17,[1],1,["2"]]`, "frame: branches.0.ids:"],
    [`[1,17,[5]]`, "frame: at:"],
    [`{"type":"hint","stream":1,"path":1,"at":1,"ids":[],"source":"model"}`, "frame: ids:"],
    [`{"type":"open"}`, "frame: stream:"],
    ["[]", "frame: stream:"],
    ["null", "frame: (root):"],
    ["{", "frame is not JSON"],
    [`["${"h".repeat(MAX_FRAME_BYTES)}"]`, `is over ${MAX_FRAME_BYTES}`],
  ])("%.60s is refused by the field at fault", (text, words) => {
    expect(parseEdgeFrame(text)).toEqual({ ok: false, message: expect.stringContaining(words) });
  });
  it.each([
    [`[1,-1,[5]]`, "frame: at:"],
    [`[1,17,"AF_"]`, "frame: ids:"],
    [`[1,17,[5],65]`, "frame: accepted:"],
    [`[1,17,[5],1,"model"]`, "frame: source:"],
    [`[1,17,[5],1,"m",0]`, "frame: 5:"],
    [`[1,3,17,[1]]`, "frame: ids:"],
  ])("%s is refused as an answer, by the field at fault", (text, words) => {
    expect(parseVerifierFrame(text)).toEqual({ ok: false, message: expect.stringContaining(words) });
  });
});
