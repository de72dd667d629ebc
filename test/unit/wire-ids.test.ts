import { describe, expect, it } from "vitest";
import { MAX_PROMPT_IDS, MAX_TOKEN_ID, type OpenFrame } from "../../gpu-service/protocol/frames.ts";
import { packIds, readIds } from "../../gpu-service/protocol/ids.ts";
import { encodeEdgeFrame, parseEdgeFrame } from "../../gpu-service/protocol/wire.ts";
import { randomFrom } from "../support/random.ts";
import { GREEDY } from "../support/sequences.ts";

/** Smaller ids travel as characters. */
const PACKED_IDS = 1_100_800;
const random = randomFrom(29);
const OPEN: OpenFrame = {
  ...{ type: "open", stream: 1, protocol: 2, target: "m", tokenizer: "a".repeat(64), prompt: [284, 198, 50] },
  ...{ sampling: GREEDY, max_tokens: 9, stop_ids: [2], drafts: true, tenant: "t", token: "v2.x.y" },
};
/** `OPEN` as it is sent, with some fields replaced. */
const sent = (fields: Record<string, unknown>) =>
  JSON.stringify({ ...JSON.parse(encodeEdgeFrame(OPEN)), ...fields });

describe("a list of ids", () => {
  it.each([
    [[], ""],
    [[0], "AA"],
    [[3_071], "v_"],
    [[3_072], "wAA"],
    [[52_223], "7__"],
    [[52_224], "8AAA"],
    [[PACKED_IDS - 1], "____"],
    [[284, 198, 50], "EcDGAy"],
    [
      [284, PACKED_IDS],
      [284, PACKED_IDS],
    ],
    [[MAX_TOKEN_ID], [MAX_TOKEN_ID]],
  ])("%j travels as %j", (ids, packed) => {
    expect(packIds(ids)).toEqual(packed);
    expect(readIds(packed, 0, 3)).toEqual(ids);
  });

  it("comes back as it was: every id that is packed, and lists of any length", () => {
    const all = Array.from({ length: PACKED_IDS }, (_, id) => id);
    expect(readIds(packIds(all), 1, all.length)!.every((id, n) => id === n)).toBe(true);
    expect(readIds(packIds(all), 1, all.length - 1)).toBeNull();
    for (let round = 0; round < 300; round++) {
      const below = 2 ** (1 + random(24));
      const ids = Array.from({ length: random(200) }, () => random(below));
      expect(readIds(JSON.parse(JSON.stringify(packIds(ids))), 0, 200)).toEqual(ids);
    }
  });

  it("is taken as a string exactly if each character is of the alphabet and the length is in the bounds", () => {
    const characters = Array.from({ length: 0x180 }, (_, code) => String.fromCharCode(code));
    for (const odd of [...characters, "\u2028", "\ud83d", "\uffff"]) {
      for (const [ids, firsts] of [
        ["ABCDEF", [0, 2, 4]],
        ["wAAxAA", [0, 3]],
      ] as const) {
        for (const place of [0, 1, 2, 3, 4, 5].filter(
          (place) => !(firsts as readonly number[]).includes(place),
        )) {
          const text = ids.slice(0, place) + odd + ids.slice(place + 1);
          expect([text, readIds(text, 1, 3) !== null]).toEqual([text, /^[A-Za-z0-9_-]$/.test(odd)]);
        }
      }
      if (!/^[A-Za-z0-9_-]$/.test(odd)) expect(readIds(`${odd}AAA`, 1, 3)).toBeNull();
    }
    for (const [digits, character] of [
      [2, "b"],
      [3, "x"],
      [4, "-"],
    ] as const) {
      for (let length = 0; length < 24; length++) {
        const taken = readIds(character.repeat(length), 2, 5) !== null;
        const isWhole = length % digits === 0 && length >= 2 * digits && length <= 5 * digits;
        expect([character, length, taken]).toEqual([character, length, isWhole]);
      }
    }
  });

  it.each([
    [null],
    [undefined],
    [7],
    [{}],
    [{ length: 3 }],
    [["AA"]],
    [[0.5]],
    [[-1]],
    [[2 ** 24]],
    [[1, 2, 3]],
  ])("is not %j", (value) => {
    expect(readIds(value, 1, 2)).toBeNull();
  });
});

describe("an open frame", () => {
  it("carries its prompt and what was confirmed as strings, and gives back arrays", () => {
    for (const confirmed of [undefined, [], [5], [PACKED_IDS]]) {
      const open = { ...OPEN, ...(confirmed && { confirmed, numerics: "n" }) };
      const json = JSON.parse(encodeEdgeFrame(open));
      expect([json.prompt, json.confirmed]).toEqual(["EcDGAy", confirmed && packIds(confirmed)]);
      expect(parseEdgeFrame(encodeEdgeFrame(open))).toEqual({ ok: true, frame: open });
    }
    const longest = { ...OPEN, prompt: Array.from({ length: MAX_PROMPT_IDS }, () => random(PACKED_IDS)) };
    expect(parseEdgeFrame(encodeEdgeFrame(longest))).toEqual({ ok: true, frame: longest });
  });

  it.each([
    [{ prompt: "" }, `frame: prompt: are not 1 to ${MAX_PROMPT_IDS} token ids`],
    [{ prompt: "AAA" }, "frame: prompt:"],
    [{ prompt: "A=" }, "frame: prompt:"],
    [{ prompt: "A".repeat(2 * MAX_PROMPT_IDS + 2) }, "frame: prompt:"],
    [{ prompt: ["AA"] }, "frame: prompt.0:"],
    [{ prompt: [] }, "frame: prompt:"],
    [{ confirmed: "A" }, `frame: confirmed: are not 0 to ${MAX_PROMPT_IDS} token ids`],
    [{ confirmed: "A".repeat(2 * MAX_PROMPT_IDS + 2) }, "frame: confirmed:"],
    [{ stop_ids: "AC" }, "frame: stop_ids:"],
  ])("with %.60j is refused by the field at fault", (fields, words) => {
    expect(parseEdgeFrame(sent(fields))).toEqual({ ok: false, message: expect.stringContaining(words) });
  });

  it("alone may carry strings among the frames that name their fields", () => {
    const hint = { type: "hint", stream: 1, path: 1, at: 1, source: "model" };
    expect(parseEdgeFrame(JSON.stringify({ ...hint, ids: [5] })).ok).toBe(true);
    expect(parseEdgeFrame(JSON.stringify({ ...hint, ids: "AF" })).ok).toBe(false);
  });
});
