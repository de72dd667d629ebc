/**
 * Writes out the short loops of the kernel that are marked `// unrolled`, so that the source can keep them as loops.
 *
 * Neither Binaryen nor (for larger bodies) V8 does it, and the products are 10 to 15% slower with the loops left in.
 * A marked loop counts from 0 to a literal: the counter becomes a literal in each copy, and may so stand where
 * AssemblyScript wants a constant, as in the offset of a load.
 */
const MARKED = /\/\/ unrolled\n\s*for \(let (\w+): \w+ = 0; \1 < (\d+); \1\+\+\) \{/;

/** `source` with every marked loop replaced by copies of its body. Throws on a mark without such a loop. */
export function unrollLoops(source: string): string {
  let rest = source;
  let done = "";
  for (let match = MARKED.exec(rest); match; match = MARKED.exec(rest)) {
    const [head, counter, count] = match as unknown as [string, string, string];
    const from = match.index + head.length;
    const to = endOfBlock(rest, from);
    const body = rest.slice(from, to);
    const name = new RegExp(`\\b${counter}\\b`, "g");
    const copies = Array.from({ length: Number(count) }, (_, i) => `{${body.replace(name, String(i))}}`);
    done += rest.slice(0, match.index) + copies.join("\n");
    rest = rest.slice(to + 1);
  }
  const result = done + rest;
  if (result.includes("// unrolled")) throw new Error("a loop marked as unrolled does not count from 0 to a literal");
  return result;
}

/** Index of the brace that closes the block which begins at `from`. */
function endOfBlock(source: string, from: number): number {
  let depth = 1;
  for (let at = from; at < source.length; at++) {
    if (source[at] === "{") depth++;
    else if (source[at] === "}" && --depth === 0) return at;
  }
  throw new Error("a block is not closed");
}
