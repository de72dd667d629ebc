import { expect, it } from "vitest";
import { readEngine } from "../../../infra/start/engine.ts";

it("the engine is onnx unless ENGINE says otherwise, and an unknown one is refused", () => {
  expect(readEngine({})).toBe("onnx");
  expect(readEngine({ ENGINE: "vllm" })).toBe("vllm");
  expect(() => readEngine({ ENGINE: "other" })).toThrow("ENGINE=other: expected onnx or vllm");
});
