/** How well a draft in the edge's kernel foresees texts that the target wrote, alone and after lookup. */
import { Lookup } from "../../../edge/drafting/lookup.ts";
import type { OpenDraft } from "./draft.ts";
import { temperatureOf, type Written } from "./written.ts";

/** What a source said at each position of a text. */
export type Said = readonly number[];
/** `shared`: at temperature 1, the probability that draft and target have in common at each position. */
export type Foreseen = { readonly said: Said; readonly shared: readonly number[] };

/** The model's own guess for every id of the text, given all that the edge lets it see of what stands before. */
export async function foreseeByKernel({ engine, rowOf }: OpenDraft, text: Written): Promise<Foreseen> {
  const { prompt, ids, seed, top } = text;
  const settings = { temperature: temperatureOf(text), seed: BigInt(seed ?? 0) };
  const sequence = engine.open();
  try {
    sequence.extend(prompt);
    const said: number[] = [];
    const shared: number[] = [];
    for (const [place, id] of ids.entries()) {
      const { tokens } = await sequence.draft(1, settings);
      said.push(tokens[0]!.id);
      if (top) shared.push(inCommon(engine.logits(), top[place]!, rowOf));
      sequence.confirm(prompt.length + place, [id]);
    }
    return { said, shared };
  } finally {
    sequence.close();
  }
}

/** The sum of min(p, q) over the target's listed ids; `rowOf`: the row of the draft's logits that stands for an id. */
function inCommon(
  logits: Float32Array,
  top: readonly (readonly [number, number])[],
  rowOf: (id: number) => number | undefined,
): number {
  const largest = logits.reduce((most, logit) => Math.max(most, logit), -Infinity);
  const total = logits.reduce((sum, logit) => sum + Math.exp(logit - largest), 0);
  return top.reduce((sum, [id, logprob]) => {
    const row = rowOf(id);
    return row === undefined
      ? sum
      : sum + Math.min(Math.exp(logprob), Math.exp(logits[row]! - largest) / total);
  }, 0);
}

/** Share of the ids that were foretold. */
export const matches = (texts: readonly { ids: readonly number[]; said: Said }[]): number => {
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
