/** Outputs in the Cache API of the data centre: by an HMAC of whose they are and of the prompt, for a day at most. */
import { hmacKey } from "../../../gpu-service/protocol/hmac.ts";
import { toBase64Url } from "../../../gpu-service/protocol/token.ts";

/** The part of the Cache API that is used. */
export type OutputCache = {
  match(url: string): Promise<Response | undefined>;
  put(url: string, response: Response): Promise<void>;
};
/** `secret`: of the installation. `cache` is asked for late: not every runtime has one. */
export type SharedMemory = { secret: string; cache: () => OutputCache | undefined };

const MAX_AGE_S = 86_400;
const MAX_BYTES = 32 << 10;
/** Ids are below 2^24. */
const MAX_ID = 0xff_ffff;

/** Null where there is none, or none that can be read. Never rejects: it is a draft's business only. */
export async function readOutput(
  { secret, cache }: SharedMemory,
  owner: string,
  prompt: readonly number[],
): Promise<number[] | null> {
  try {
    const found = await cache()?.match(await nameOf(secret, owner, prompt));
    if (!found) return null;
    const bytes = await found.arrayBuffer();
    return bytes.byteLength > MAX_BYTES ? null : idsOf(JSON.parse(new TextDecoder().decode(bytes)));
  } catch {
    return null;
  }
}

/** Never rejects. */
export async function writeOutput(
  { secret, cache }: SharedMemory,
  owner: string,
  prompt: readonly number[],
  output: readonly number[],
): Promise<void> {
  try {
    const headers = { "content-type": "application/json", "cache-control": `max-age=${MAX_AGE_S}` };
    const name = await nameOf(secret, owner, prompt);
    await cache()?.put(name, new Response(JSON.stringify(output), { headers }));
  } catch (error) {
    console.warn(
      JSON.stringify({ level: "warn", message: "an output was not cached", error: String(error) }),
    );
  }
}

function idsOf(value: unknown): number[] | null {
  if (!Array.isArray(value)) return null;
  const isId = (id: unknown) => Number.isInteger(id) && (id as number) >= 0 && (id as number) <= MAX_ID;
  return value.every(isId) ? value : null;
}

async function nameOf(secret: string, owner: string, prompt: readonly number[]): Promise<string> {
  const what = new TextEncoder().encode(JSON.stringify(["memory", owner, prompt]));
  const mac = await crypto.subtle.sign("HMAC", await hmacKey(secret, "sign"), what);
  return `https://memory.outrider.invalid/${toBase64Url(new Uint8Array(mac))}`;
}
