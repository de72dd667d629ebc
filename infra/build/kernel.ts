/**
 * Builds the draft kernel: edge/drafting/kernel/*.ts → build/draft.wasm (relaxed SIMD) and build/draft-simd.wasm (the
 * same results without it). Skipped while sources, options and compiler are those of the last build.
 */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { promisify } from "node:util";
import { unrollLoops } from "./unroll.ts";

const KERNEL = resolve(import.meta.dirname, "../../edge/drafting/kernel");
/** Where draft.wasm and draft-simd.wasm come to lie. */
export const KERNEL_BUILD = join(KERNEL, "build");
const UNROLLED = join(KERNEL_BUILD, "unrolled");
// -O1 on purpose: -O3 lets Binaryen sink accumulators into serial chains, which halves the speed of the products.
const OPTIONS = ["-O1", "--noAssert", "--runtime", "stub", "--enable", "simd"];
const VARIANTS = { "draft.wasm": ["--enable", "relaxed-simd"], "draft-simd.wasm": [] };

/** Returns whether anything had to be built. Throws with the compiler's own words if the sources do not compile. */
export async function buildKernel(): Promise<boolean> {
  const digest = await digestOfInputs();
  const stamp = join(KERNEL_BUILD, "inputs.sha256");
  const last = await readFile(stamp, "utf8").catch(() => "");
  if (last === digest) return false;
  await mkdir(KERNEL_BUILD, { recursive: true });
  await writeUnrolled();
  await Promise.all(
    Object.entries(VARIANTS).map(([name, extra]) =>
      compile([join(UNROLLED, "kernel.ts"), ...OPTIONS, ...extra, "-o", join(KERNEL_BUILD, name)]),
    ),
  );
  await writeFile(stamp, digest);
  return true;
}

/** What is compiled: the sources with their marked loops written out. */
async function writeUnrolled(): Promise<void> {
  await rm(UNROLLED, { recursive: true, force: true });
  await mkdir(UNROLLED, { recursive: true });
  for (const name of await sourceNames()) {
    await writeFile(join(UNROLLED, name), unrollLoops(await readFile(join(KERNEL, name), "utf8")));
  }
}

const sourceNames = async (): Promise<string[]> =>
  (await readdir(KERNEL)).filter((name) => name.endsWith(".ts")).sort();

/** Runs the AssemblyScript compiler. Paths in `args` are absolute. */
export async function compile(args: readonly string[]): Promise<void> {
  await promisify(execFile)(process.execPath, [compilerPath(), ...args], { cwd: resolve(KERNEL, "../../..") });
}

const compilerFolder = (): string => dirname(createRequire(import.meta.url).resolve("assemblyscript/package.json"));
const compilerPath = (): string => join(compilerFolder(), "bin/asc.js");

async function digestOfInputs(): Promise<string> {
  const hash = createHash("sha256").update(JSON.stringify([OPTIONS, VARIANTS]));
  hash.update(await readFile(join(compilerFolder(), "package.json")));
  hash.update(await readFile(join(import.meta.dirname, "unroll.ts")));
  for (const name of await sourceNames()) hash.update(name).update(await readFile(join(KERNEL, name)));
  return hash.digest("hex");
}

if (import.meta.main) console.log((await buildKernel()) ? "draft kernel built" : "draft kernel is up to date");
