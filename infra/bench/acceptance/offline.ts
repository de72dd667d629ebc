/** The same texts offline: `python -m trainer foresight`. */
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { z } from "zod";
import { ROOT } from "../../start/paths.ts";

const offlineSchema = z.array(
  z.object({
    domain: z.string(),
    temperature: z.union([z.literal(0), z.literal(1)]),
    ids: z.int(),
    matches: z.number(),
    one_minus_tv: z.number().nullable(),
    accepted_len_4: z.number(),
    accepted_len_8: z.number(),
  }),
);
/** A row per domain and temperature. */
export type Offline = z.infer<typeof offlineSchema>;

/** `draft`: flags that name a release or a draft. */
export async function foresee(python: string, texts: string, draft: readonly string[]): Promise<Offline> {
  const out = `${texts}.json`;
  const args = ["-m", "trainer", "foresight", "--texts", texts, ...draft, "--out", out];
  await promisify(execFile)(python, args, { cwd: join(ROOT, "gpu-service/training/trainer") });
  return offlineSchema.parse(JSON.parse(await readFile(out, "utf8")));
}
