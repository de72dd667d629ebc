#!/usr/bin/env node
/**
 * Speaks the lines of `outrider_vllm.serve`, without vLLM: every text counts up from the last id of its prompt.
 * FAKE_VLLM: "fails" before it is ready, "dies" at the first start, "babbles" then, "refuses" every start, "hangs" on close.
 */
import { once } from "node:events";
import { connect } from "node:net";
import { createInterface } from "node:readline";

const way = process.env.FAKE_VLLM ?? "";
const service = connect(process.env.OUTRIDER_VLLM_SOCKET);
const say = (message) =>
  service.write(`${typeof message === "string" ? message : JSON.stringify(message)}\n`);
const running = new Map();

say(process.env.OUTRIDER_VLLM_SECRET);
if (way === "fails") {
  service.end(`${JSON.stringify({ type: "failed", reason: "ValueError: no such model" })}\n`);
  await once(service, "close");
  process.exit(1);
}
say({
  type: "ready",
  version: "0.0.0",
  vocabulary: 1000,
  context: JSON.parse(process.argv[4]).context,
  dtype: "float32",
  device: "fake",
  tensor_parallel: 1,
  pipeline_parallel: 1,
  exact: true,
  difference: 0,
  fingerprint: "00000000",
});

function start({ stream, ids, max_tokens, tenant }) {
  if (way === "dies") process.exit(9);
  if (way === "babbles") say("no JSON");
  if (way === "refuses") return say({ type: "refused", stream, message: `not for ${tenant}` });
  running.set(stream, { next: ids.at(-1) + 1, left: max_tokens, steps: 0, hinted: 0 });
  say({ type: "opened", stream, cached: 2 });
}

/** Up to three hinted ids are right, whatever they are. */
function step() {
  const parts = [];
  for (const [stream, text] of running) {
    const accepted = Math.min(text.hinted, text.left - 1, 3);
    const ids = Array.from({ length: accepted + 1 }, () => text.next++);
    text.left -= ids.length;
    text.hinted = 0;
    text.steps++;
    const finished = text.left === 0;
    parts.push({
      stream,
      ids,
      drafted: Array(accepted).fill("model"),
      accepted,
      steps: text.steps,
      finished,
    });
    if (finished) running.delete(stream);
  }
  if (parts.length > 0) say({ type: "turn", ms: 1, rows: parts.length, parts });
}

setInterval(step, 5);
service.on("error", () => {});
const lines = createInterface({ input: service });
lines.on("close", () => way !== "hangs" && process.exit(0));
lines.on("line", (line) => {
  const message = JSON.parse(line);
  if (message.type === "start") start(message);
  if (message.type === "hint" && running.has(message.stream))
    running.get(message.stream).hinted = message.ids.length;
  if (message.type === "cancel") running.delete(message.stream);
  if (message.type === "close" && way !== "hangs") process.exit(0);
});
