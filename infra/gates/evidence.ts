/** What the gates need of Python: `python -m trainer evidence`. */
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import { z } from "zod";
import type { GatesRequest } from "../../gpu-service/protocol/gates.ts";

const HELD_PER_DOMAIN = 60;
const MOST_OUTPUT_BYTES = 16 << 20;

const count = z.int().min(0);
const ids = z.array(count);
const goldenSchema = z.object({
  image_sha256: z.string(),
  /** Per position: the ids with the largest logits, and these. */
  cases: z
    .array(z.object({ ids, top_ids: z.array(ids.min(1)), top_logits: z.array(z.array(z.number())) }))
    .min(1),
});
const heldSchema = z.object({
  stop_ids: ids,
  prompts: z.array(z.object({ domain: z.string(), ids: ids.min(1) })).min(1),
});
const leaksSchema = z.object({
  ...{ documents: count, prompts: count, responses: count, texts: count },
  examples: z.array(z.string()),
});
export type Golden = z.infer<typeof goldenSchema>;
export type Held = z.infer<typeof heldSchema>;
export type Leaks = z.infer<typeof leaksSchema>;
export type Evidence = { golden: Golden; held: Held; leaks: Leaks };

export async function gatherEvidence(request: GatesRequest, target: string): Promise<Evidence> {
  const { candidate, recipe, work, folder } = request;
  const flags = [
    ...["--release", candidate, "--target-id", target, "--recipe", recipe, "--work", work, "--out", folder],
    ...["--held", String(HELD_PER_DOMAIN)],
    ...request.models.split(delimiter).flatMap((root) => ["--models", root]),
  ];
  await promisify(execFile)(request.python, ["-m", "trainer", "evidence", ...flags], {
    cwd: request.trainer,
    maxBuffer: MOST_OUTPUT_BYTES,
  });
  const read = async (name: string): Promise<unknown> =>
    JSON.parse(await readFile(join(folder, name), "utf8"));
  return {
    golden: goldenSchema.parse(await read("golden.json")),
    held: heldSchema.parse(await read("held.json")),
    leaks: leaksSchema.parse(await read("leaks.json")),
  };
}
