/**
 * Stands in for `python -u -m trainer run --recipe R --work W --out O --events E`: a few steps, each with a checkpoint.
 *
 * How it behaves lies in the folder of the first argument, a file for each recipe: {steps, step_ms?, die_at? (once after
 * each of these steps, by SIGKILL), die_before? (each time), refuse?, no_release?, hold? (a child that ignores SIGTERM)}.
 */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { appendFileSync, existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

const option = (name) => process.argv[process.argv.indexOf(`--${name}`) + 1];
const { name } = JSON.parse(readFileSync(option("recipe"), "utf8"));
const recipe = JSON.parse(readFileSync(join(process.argv[2], `${name}.json`), "utf8"));
const checkpoint = join(option("work"), "step");
const first = existsSync(checkpoint) ? Number(readFileSync(checkpoint, "utf8")) : 0;

appendFileSync(join(dirname(option("events")), "starts"), `${first}\n`);
if (recipe.refuse) {
  console.error(recipe.refuse);
  process.exit(1);
}
if (recipe.hold) {
  const stubborn = "process.on('SIGTERM', () => {}); setInterval(() => {}, 1000); console.log('up')";
  const child = spawn(process.execPath, ["-e", stubborn], { stdio: ["ignore", "pipe", "inherit"] });
  await new Promise((resolve) => child.stdout.once("data", resolve));
  writeFileSync(join(option("work"), "child"), String(child.pid));
}
for (let step = first + 1; step <= recipe.steps; step++) {
  await new Promise((resolve) => setTimeout(resolve, recipe.step_ms ?? 20));
  if (recipe.die_before === step) process.kill(process.pid, "SIGKILL");
  writeFileSync(`${checkpoint}.new`, String(step));
  renameSync(`${checkpoint}.new`, checkpoint);
  const line = {
    stage: "distil",
    step,
    steps: recipe.steps,
    tokens: step * 100,
    loss: 5 / step,
    tok_s: 1000,
  };
  appendFileSync(option("events"), `${JSON.stringify(line)}\n`);
  if (recipe.die_at?.includes(step)) process.kill(process.pid, "SIGKILL");
}
if (!recipe.no_release) finish(option("out"));

function finish(out) {
  const files = { "model.draft": Buffer.from("weights"), "tokenizer.json": Buffer.from("{}") };
  const entries = {};
  for (const [name, bytes] of Object.entries(files)) {
    writeFileSync(join(out, name), bytes);
    entries[name] = { sha256: sha256(bytes), bytes: bytes.length };
  }
  const manifest = {
    format_version: 1,
    kind: "draft",
    id: "made-up-by-the-trainer",
    target: "tiny",
    created: "2026-01-01T00:00:00Z",
    files: entries,
    tokenizer_sha256: entries["tokenizer.json"].sha256,
    vocab_size: 512,
    head_rows: 512,
    context: 256,
    quantisation: "int8",
    memory_bytes: 7,
    lineage: { recipe: "fake", parent: null },
    acceptance: { code: { greedy: 0.5 } },
  };
  writeFileSync(join(out, "manifest.unsigned.json"), JSON.stringify(manifest));
}

function sha256(bytes) {
  return createHash("sha256").update(bytes).digest("hex");
}
