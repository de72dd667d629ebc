import { expect, it } from "vitest";
import { readVerifierFrame } from "../../edge/link/read-frame.ts";
import { parseVerifierFrame } from "../../gpu-service/protocol/frames.ts";
import { randomFrom } from "../support/random.ts";

const TOKENS = { type: "tokens", stream: 1, at: 7, ids: [5, 6], accepted: 1, source: "model" };
/** Values that are wrong somewhere, or only just right. */
const ODD = [
  undefined,
  null,
  -1,
  0,
  1,
  0.5,
  64,
  65,
  2 ** 24 - 1,
  2 ** 24,
  2 ** 32 - 1,
  2 ** 32,
  "1",
  [],
  [1],
  [-1],
  [2 ** 24],
  [0.1],
  Array(65).fill(1),
  Array(66).fill(1),
  "model",
  "guess",
  "none",
  "tokens",
  "done",
  {},
  true,
];

it("reads every frame as the schema does", () => {
  const random = randomFrom(13);
  const keys = [...Object.keys(TOKENS), "logprobs", "unknown"];
  for (let round = 0; round < 1_500; round++) {
    const frame: Record<string, unknown> = { ...TOKENS };
    for (let changes = random(3); changes > 0; changes--)
      frame[keys[random(keys.length)]!] = ODD[random(ODD.length)];
    const text = JSON.stringify(frame);
    expect([text, readVerifierFrame(text)]).toEqual([text, parseVerifierFrame(text)]);
  }
  for (const text of ["", "{", "null", "[]", "1", `"tokens"`]) {
    expect(readVerifierFrame(text)).toEqual(parseVerifierFrame(text));
  }
});
