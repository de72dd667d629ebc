/** Gate `image`: a candidate's image loads in the edge's own kernel. */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Gate } from "../../gpu-service/protocol/jobs.ts";
import { type DraftManifest, draftManifestSchema } from "../../gpu-service/protocol/manifest.ts";
import { type OpenDraft, openDraft } from "../bench/acceptance/draft.ts";
import { StartError } from "../start/errors.ts";

export type Candidate = OpenDraft & { folder: string; manifest: DraftManifest };

/** No candidate where the gate is not passed. */
export async function openCandidate(folder: string): Promise<{ gate: Gate; candidate?: Candidate }> {
  try {
    const manifest = await readManifest(folder);
    const draft = await openDraft(join(folder, "model.draft"));
    const { vocab } = draft.engine.header.shape;
    if (vocab !== manifest.vocab_size) throw new StartError(`${folder}: the image's vocabulary is ${vocab}`);
    const figures = { image_bytes: manifest.memory_bytes };
    return {
      gate: { gate: "image", passed: true, message: "loads in the edge's kernel", figures },
      candidate: { ...draft, folder, manifest },
    };
  } catch (error) {
    if (!(error instanceof StartError)) throw error;
    return { gate: { gate: "image", passed: false, message: error.message, figures: {} } };
  }
}

async function readManifest(folder: string): Promise<DraftManifest> {
  const path = join(folder, "manifest.unsigned.json");
  const parsed = draftManifestSchema.safeParse(JSON.parse(await readFile(path, "utf8")));
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw new StartError(`${path}: ${issue?.path.join(".")}: ${issue?.message}`);
  }
  for (const [name, { sha256, bytes }] of Object.entries(parsed.data.files)) {
    const file = await readFile(join(folder, name));
    if (file.length !== bytes || createHash("sha256").update(file).digest("hex") !== sha256) {
      throw new StartError(`${join(folder, name)}: is not the file that its manifest names`);
    }
  }
  return parsed.data;
}
