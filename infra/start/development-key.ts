/** An API key for trying things out: made once through the worker's admin API, kept with the other secrets. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { StartError } from "./errors.ts";

const created = z.object({ key: z.string().min(1) });

export async function openDevelopmentKey(
  keysFolder: string,
  address: string,
  adminSecret: string,
): Promise<string> {
  const path = join(keysFolder, "development-key");
  if (existsSync(path)) return readFileSync(path, "utf8").trim();
  const response = await fetch(`${address}/admin/keys`, {
    method: "POST",
    headers: { authorization: `Bearer ${adminSecret}`, "content-type": "application/json" },
    body: JSON.stringify({ name: "development", scopes: ["completions", "admin"] }),
  });
  const text = await response.text();
  if (!response.ok)
    throw new StartError(`The worker made no API key: ${response.status} ${text.slice(0, 300)}`);
  const { key } = created.parse(JSON.parse(text));
  writeFileSync(path, `${key}\n`, { mode: 0o600 });
  return key;
}
