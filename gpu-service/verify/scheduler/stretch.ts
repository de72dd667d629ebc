/** Ids that stand from position `at` on, and how they lie beside a text: all committed ids from position 0 on. */
export type Stretch = { at: number; ids: readonly number[] };

export const endOf = ({ at, ids }: Stretch): number => at + ids.length;

export const covers = (stretch: Stretch, position: number): boolean =>
  stretch.at <= position && position < endOf(stretch);

/** Whether nothing in the text says otherwise. */
export function agrees({ at, ids }: Stretch, text: readonly number[]): boolean {
  const end = Math.min(at + ids.length, text.length);
  for (let position = at; position < end; position++) if (text[position] !== ids[position - at]) return false;
  return true;
}

export const isPrefix = (short: readonly number[], long: readonly number[]): boolean =>
  short.length <= long.length && short.every((id, i) => long[i] === id);
