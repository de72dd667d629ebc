/** How many ids before `aEnd` in `a` equal those before `bEnd` in `b`: at most `most`, and none before either's beginning. */
export function agreement(
  a: readonly number[],
  aEnd: number,
  b: readonly number[],
  bEnd: number,
  most: number,
): number {
  const limit = Math.min(most, aEnd, bEnd);
  let length = 0;
  while (length < limit && a[aEnd - 1 - length] === b[bEnd - 1 - length]) length++;
  return length;
}
