/** In which order the replicas of the verifier are tried. */

/** Prompts that begin alike go to the same replica first, which may still know their beginning. */
const PREFIX_IDS = 32;

/** `replicas`, beginning with the one that the prompt's prefix hashes to (highest random weight), next best after it. */
export function inTurn(replicas: readonly string[], prompt: readonly number[]): string[] {
  const prefix = prompt.slice(0, PREFIX_IDS).join(",");
  const weight = new Map(replicas.map((name) => [name, hash(`${name} ${prefix}`)]));
  return [...replicas].sort((a, b) => weight.get(b)! - weight.get(a)!);
}

/** FNV-1a, 32 bits. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193);
  return value >>> 0;
}
