/** Which requests a canary serves: a share of them by a hash of their ids, the same ones in every isolate. */

export type Share = {
  release: string;
  /** 0 to 1. */
  share: number;
};

/** The release goes into the hash, so that every canary gets other requests. */
export const isDrawn = (requestId: string, { release, share }: Share): boolean =>
  hashOf(`${release} ${requestId}`) < share * 2 ** 32;

/** FNV-1a over UTF-16 units, then the finaliser of MurmurHash3 (A. Appleby, public domain): evenly spread 32 bits. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
