/**
 * Immutable objects of the releases bucket, read through the data centre's cache.
 *
 * A cached copy is named by the digest that a signed manifest gives, but not trusted for its name: whoever uses it
 * checks the digest, and a copy that fails is dropped and read from the bucket.
 */
import { sha256Hex } from "../../gpu-service/protocol/manifest.ts";

export type Stored = {
  readonly bucket: R2Bucket;
  readonly key: string;
  /** Lower-case hexadecimal. */
  readonly sha256: string;
};

const YEAR_SECONDS = 365 * 24 * 3600;

/**
 * Gives the object's bytes to `use`, which may be called twice: with the cached copy, then with the bucket's where
 * `isSound` refuses what came of that. Throws an Error that names the object if there is none.
 */
export async function readStored<T>(
  stored: Stored,
  use: (body: ReadableStream<Uint8Array>) => Promise<T>,
  isSound: (result: T) => boolean,
): Promise<T> {
  const name = cacheName(stored);
  const cached = await caches.default.match(name);
  if (cached?.body) {
    const result = await use(cached.body);
    if (isSound(result)) return result;
    await caches.default.delete(name);
  }
  const result = await use((await objectOf(stored)).body);
  if (isSound(result)) await keep(stored);
  return result;
}

/** A small object's bytes. They may still be wrong where the bucket's are: the caller checks the digest. */
export function readStoredBytes(stored: Stored): Promise<Uint8Array<ArrayBuffer>> {
  const use = async (body: ReadableStream<Uint8Array>) => {
    const bytes = new Uint8Array(await new Response(body).arrayBuffer());
    return { bytes, isRight: (await sha256Hex(bytes)) === stored.sha256 };
  };
  return readStored(stored, use, ({ isRight }) => isRight).then(({ bytes }) => bytes);
}

export const cacheName = ({ key, sha256 }: Stored): string => `https://releases.invalid/${sha256}/${key}`;

async function objectOf({ bucket, key }: Stored): Promise<R2ObjectBody> {
  const object = await bucket.get(key);
  if (!object) throw new Error(`${key}: no such object in the releases bucket`);
  return object;
}

/** Reads the object once more, from bucket to cache: a copy of the first reading would be held in memory meanwhile. */
async function keep(stored: Stored): Promise<void> {
  try {
    const { body } = await objectOf(stored);
    const headers = { "cache-control": `public, max-age=${YEAR_SECONDS}, immutable` };
    await caches.default.put(cacheName(stored), new Response(body, { headers }));
  } catch (error) {
    const message = "could not be cached";
    console.warn(JSON.stringify({ level: "warn", message, key: stored.key, error: String(error) }));
  }
}
