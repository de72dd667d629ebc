/** A text as it was before somebody edited it: a tenth of its lines renamed in, deleted or inserted, by a seed. */

const CHANGED_SHARE = 0.1;
const IDENTIFIER = /[A-Za-z_]{3,}/;
const EDITS = [rename, remove, insert] as const;

/** At least one line is changed; which ones and how depends on `seed` (an integer) alone. */
export function editLines(text: string, seed: number): string {
  const random = randomInts(seed);
  const lines = text.split("\n").map((line) => [line]);
  const open = lines.flatMap(([line], at) => (line?.trim() ? [at] : []));
  for (let n = Math.max(1, Math.round(open.length * CHANGED_SHARE)); n > 0 && open.length > 0; n--) {
    const [at] = open.splice(random(open.length), 1);
    const edit = EDITS[random(EDITS.length)]!;
    lines[at!] = edit(lines[at!]![0]!);
  }
  return lines.flat().join("\n");
}

/** Lines that are more than space. */
export const countLines = (text: string): number => text.split("\n").filter((line) => line.trim()).length;

function rename(line: string): string[] {
  return IDENTIFIER.test(line) ? [line.replace(IDENTIFIER, "$&_before")] : remove();
}

function remove(): string[] {
  return [];
}

function insert(line: string): string[] {
  const indent = /^\s*/.exec(line)![0];
  return [`${indent}# this line is gone by now`, line];
}

/** Draws of 0 to n - 1, by the linear congruential generator of Numerical Recipes. */
function randomInts(seed: number): (n: number) => number {
  let state = seed >>> 0;
  return (n) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * n);
  };
}
