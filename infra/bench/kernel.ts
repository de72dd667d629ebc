/**
 * `kernel`: the draft model's speed and size inside workerd, per shape; with --against FOLDER another engine (of the
 * form of worker.ts's Prototype) is measured beside ours in the same rounds of the same isolate.
 */
import { createHash } from "node:crypto";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { build } from "esbuild";
import { convertV4MiniflareOptions, Miniflare } from "miniflare";
import { randomImage } from "../../test/support/draft-image.ts";
import { buildKernel, compile, KERNEL_BUILD } from "../build/kernel.ts";
import { addedDelay } from "./kernel/pacing.ts";
import { BENCH_SHAPES, type BenchShape } from "./kernel/shapes.ts";
import type { Command, Loaded } from "./kernel/worker.ts";
import { median, type Result, type Row, round } from "./result.ts";

const PROMPTS = [16, 256, 2000] as const;
type Options = { quick: boolean; against?: string; shape?: string };
type Send = <T>(command: Command) => Promise<T>;

export async function benchKernel(
  { quick, against, shape }: Options,
  say: (line: string) => void,
): Promise<Pick<Result, "rows" | "summary">> {
  await buildKernel();
  const folder = await mkdtemp(join(tmpdir(), "bench-kernel-"));
  try {
    const script = await bundle(folder, against && resolve(against));
    const rows: Row[] = [];
    for (const one of BENCH_SHAPES) {
      if (shape && one.name !== shape) continue;
      // A fresh isolate per shape: linear memory never shrinks, and what is measured includes it.
      const row = await measureShape(script, folder, one, {
        rounds: quick ? 4 : 15,
        withPrototype: against !== undefined,
      });
      say(JSON.stringify(row));
      rows.push(row);
    }
    return { rows, summary: { all: summaryOf(rows) } };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Bundles the worker; the prototype's kernel is compiled from its source, with the options its build script has. */
async function bundle(folder: string, against: string | undefined): Promise<string> {
  const worker = resolve(import.meta.dirname, "kernel/worker.ts");
  let source = `import { makeWorker } from ${JSON.stringify(worker)};\nimport kernel from "./kernel.wasm";\n`;
  if (against) {
    const options = [
      "-O1",
      "--noAssert",
      "--runtime",
      "stub",
      "--enable",
      "simd",
      "--enable",
      "relaxed-simd",
    ];
    await compile([join(against, "src/draft.ts"), ...options, "-o", join(folder, "prototype.wasm")]);
    source += `import module from "./prototype.wasm";\nimport * as code from ${JSON.stringify(join(against, "src/engine.mjs"))};\n`;
  }
  source += `export default makeWorker(kernel${against ? ", { module, code }" : ""});\n`;
  const { outputFiles } = await build({
    stdin: { contents: source, resolveDir: import.meta.dirname, loader: "ts" },
    bundle: true,
    write: false,
    format: "esm",
    target: "es2022",
    external: ["*.wasm"],
  });
  return outputFiles[0]!.text;
}

async function measureShape(
  script: string,
  folder: string,
  shape: BenchShape,
  { rounds, withPrototype }: { rounds: number; withPrototype: boolean },
): Promise<Row> {
  const image = randomImage({
    shape: shape.shape,
    head: shape.head,
    type: shape.bits === 4 ? "int4" : "int8",
  });
  const modules = [
    { type: "ESModule" as const, path: "worker.mjs", contents: script },
    {
      type: "CompiledWasm" as const,
      path: "kernel.wasm",
      contents: await readFile(join(KERNEL_BUILD, "draft.wasm")),
    },
  ];
  if (withPrototype) {
    const contents = await readFile(join(folder, "prototype.wasm"));
    modules.push({ type: "CompiledWasm", path: "prototype.wasm", contents });
  }
  const miniflare = new Miniflare(
    convertV4MiniflareOptions({
      modules,
      compatibilityDate: "2026-10-01",
      compatibilityFlags: ["nodejs_compat"],
      r2Buckets: ["BUCKET"],
      cf: false,
      telemetry: { enabled: false },
    }),
  );
  try {
    const bucket = await miniflare.getR2Bucket("BUCKET");
    await bucket.put("model.draft", image);
    const send: Send = async (command) => {
      const response = await miniflare.dispatchFetch("http://bench/", {
        method: "POST",
        body: JSON.stringify(command),
      });
      if (!response.ok) throw new Error(await response.text());
      return (await response.json()) as never;
    };
    const file = { bytes: image.length, sha256: createHash("sha256").update(image).digest("hex") };
    const { loadMs, memoryBytes } = await send<Loaded>({ do: "load", shape, file });
    const speeds = await measureSpeeds(send, shape, rounds, withPrototype);
    const delay =
      shape.name === "default" && shape.bits === 8 ? await addedDelay(miniflare, rounds) : undefined;
    const hints = [];
    for (const prompt of PROMPTS) hints.push([prompt, await firstHint(send, prompt, rounds)] as const);
    return {
      shape: shape.name,
      bits: shape.bits,
      ...speeds,
      memory_bytes: memoryBytes,
      load_ms: round(loadMs, 0),
      first_hint_ms: Object.fromEntries(hints),
      ...(delay && { token_delay_p99_ms: delay }),
    };
  } finally {
    await miniflare.dispose();
  }
}

/** Medians over rounds in which both engines take turns, so that what else the machine does strikes both alike. */
async function measureSpeeds(send: Send, shape: BenchShape, rounds: number, withPrototype: boolean) {
  if (withPrototype) await send({ do: "load prototype", shape });
  const engines = withPrototype ? (["ours", "prototype"] as const) : (["ours"] as const);
  const figures = new Map<string, number[]>();
  // The first round warms the compiler up and is not counted.
  for (let n = 0; n <= rounds; n++) {
    const byToken = await send<number>({ do: "token by token", ms: 60 });
    if (n > 0) figures.set("by_token_tok_s", [...(figures.get("by_token_tok_s") ?? []), byToken]);
    for (const work of ["draft", "prefill"] as const) {
      for (const engine of n % 2 === 0 ? engines : engines.toReversed()) {
        const figure = await send<number>({ do: work, engine, ms: 60 });
        const key = `${engine === "ours" ? "" : "prototype_"}${work}_tok_s`;
        if (n > 0) figures.set(key, [...(figures.get(key) ?? []), figure]);
      }
    }
  }
  return Object.fromEntries([...figures].map(([key, values]) => [key, round(median(values), 0)]));
}

async function firstHint(send: Send, prompt: number, rounds: number): Promise<number> {
  const times: number[] = [];
  for (let n = 0; n < Math.min(rounds - 1, 7); n++)
    times.push(await send<number>({ do: "first hint", prompt }));
  return round(median(times), 1);
}

function summaryOf(rows: readonly Row[]): Record<string, number> {
  const ratio = (top: string, bottom: string) => rows.map((row) => Number(row[top]) / Number(row[bottom]));
  const toPrototype = [
    ...ratio("draft_tok_s", "prototype_draft_tok_s"),
    ...ratio("prefill_tok_s", "prototype_prefill_tok_s"),
  ];
  const delay = rows
    .map((row) => row.token_delay_p99_ms as { off: number; on: number } | undefined)
    .find(Boolean);
  return {
    ...(rows[0]?.prototype_draft_tok_s !== undefined && {
      worst_ratio_to_prototype: round(Math.min(...toPrototype), 3),
    }),
    worst_prefill_over_by_token: round(Math.min(...ratio("prefill_tok_s", "by_token_tok_s")), 2),
    ...(delay && { added_delay_p99_ms: round(delay.on - delay.off, 1) }),
  };
}
