/** How well a draft in the edge's kernel foresees texts that the target wrote greedily, alone and after lookup. */
import { Lookup } from "../../../edge/drafting/lookup.ts";
import type { DraftEngine } from "../../../edge/drafting/model/index.ts";

export type Written = { domain: string; prompt: number[]; ids: number[] };
/** What a source said at each position of a text; null: nothing. */
export type Said = readonly (number | null)[];

/** The model's own guess for every id of the text, given all that stands before it. */
export async function modelSays(engine: DraftEngine, { prompt, ids }: Written): Promise<Said> {
  const sequence = engine.open();
  try {
    sequence.extend(prompt);
    const said: number[] = [];
    for (const [place, id] of ids.entries()) {
      const { tokens } = await sequence.draft(1, { temperature: 0, seed: 0n });
      said.push(tokens[0]!.id);
      sequence.confirm(prompt.length + place, [id]);
    }
    return said;
  } finally {
    sequence.close();
  }
}

/** Share of the ids that were foretold. */
export const greedy = (texts: readonly { ids: readonly number[]; said: Said }[]): number => {
  const all = texts.flatMap(({ ids, said }) => ids.map((id, i) => said[i] === id));
  return all.filter(Boolean).length / all.length;
};

/**
 * Ids accepted of `drafted`, over the rounds that a text is made of; a round cut by the text's end is left out.
 * `withLookup`: what lookup says goes before what the model says, and it knows nothing beyond a round's beginning.
 */
export function acceptedLengths(text: Written, said: Said, drafted: number, withLookup: boolean): number[] {
  const lookup = new Lookup();
  const whole = [...text.prompt, ...text.ids];
  const lengths: number[] = [];
  let at = 0;
  while (at + drafted < text.ids.length) {
    const confirmed = text.prompt.length + at;
    let length = 0;
    while (length < drafted) {
      const before = whole.slice(0, confirmed + length);
      const guess = withLookup ? lookup.next(before, confirmed)?.id : undefined;
      if ((guess ?? said[at + length]) !== text.ids[at + length]) break;
      length++;
    }
    lengths.push(length);
    at += length + 1;
  }
  return lengths;
}
