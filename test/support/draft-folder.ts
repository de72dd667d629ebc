/** A release folder as the trainer writes it, with made-up weights. */
import { createHash } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { temporaryFolder } from "./training-folder.ts";

const sha256 = (bytes: Buffer): string => createHash("sha256").update(bytes).digest("hex");

export function makeDraftFolder(id: string, weights = "weights", target = "tiny"): string {
  const folder = join(temporaryFolder(), id);
  mkdirSync(folder, { recursive: true });
  const files = { "model.draft": Buffer.from(weights), "tokenizer.json": Buffer.from('{"model":{}}') };
  for (const [name, bytes] of Object.entries(files)) writeFileSync(join(folder, name), bytes);
  const manifest = {
    format_version: 1,
    kind: "draft",
    id,
    target,
    created: "2026-01-01T00:00:00Z",
    files: Object.fromEntries(
      Object.entries(files).map(([name, bytes]) => [name, { sha256: sha256(bytes), bytes: bytes.length }]),
    ),
    tokenizer_sha256: sha256(files["tokenizer.json"]),
    vocab_size: 512,
    head_rows: 512,
    context: 256,
    quantisation: "int8",
    memory_bytes: weights.length,
    lineage: { recipe: "tiny", seed: 1, data: { files: 3 }, parent: null, commit: "none" },
    acceptance: { code: { greedy: 0.5, one_minus_tv: 0.4, accepted_len_4: 1 } },
  };
  writeFileSync(join(folder, "manifest.unsigned.json"), JSON.stringify(manifest));
  return folder;
}
