import { describe, expect, it } from "vitest";
import { checkScores } from "../../edge/api/checks.ts";
import { MAX_FRAME_BYTES, type OpenedFrame, scoresFit } from "../../gpu-service/protocol/frames.ts";
import { encodeVerifierFrame } from "../../gpu-service/protocol/wire.ts";

const ids = (count: number) => Array.from({ length: count }, (_, i) => i);

describe("the log probabilities of an echoed prompt", () => {
  it.each([
    [2200, 20],
    [8192, 5],
  ])("of %i ids with %i each are too many: the field is named", (count, logprobs) => {
    const error = { type: "invalid_request_error", param: "logprobs" };
    const refusal = expect.objectContaining({ status: 400, body: { error: expect.objectContaining(error) } });
    expect(() => checkScores(ids(count), logprobs)).toThrow(refusal);
  });

  it.each([
    [2100, 5],
    [2048, 20],
    [8192, 1],
  ])("of %i ids with %i each are taken", (count, logprobs) => {
    expect(() => checkScores(ids(count), logprobs)).not.toThrow();
  });

  it("fit into one frame where they are taken, however long their numbers are", () => {
    const entry = (top: number) => ({
      logprob: -99.123456,
      top: Array.from({ length: top }, (_, i): [number, number] => [999_980 + i, -99.123456]),
    });
    for (const logprobs of [0, 1, 5, 20]) {
      let count = 1;
      while (scoresFit(count + 1, logprobs)) count++;
      const frame: OpenedFrame = {
        ...{ type: "opened", stream: 1, limits: { hint_ids: 64, context: 8192 }, cached_tokens: 0 },
        ...{ prompt_tokens: count, numerics: "n".repeat(128) },
        prompt_logprobs: Array.from({ length: count }, () => entry(logprobs)),
      };
      expect(encodeVerifierFrame(frame).length).toBeLessThanOrEqual(MAX_FRAME_BYTES);
    }
  });
});
