/** A text that the target wrote, as the kernel and `python -m trainer foresight` are asked about it. */
export type Written = {
  readonly domain: string;
  readonly prompt: readonly number[];
  readonly ids: readonly number[];
  /** Of a text drawn at temperature 1; absent: written greedily. */
  readonly seed?: string;
  /** For each of its ids the target's likeliest, with their log probabilities; beside `seed`. */
  readonly top?: readonly (readonly (readonly [id: number, logprob: number])[])[];
};

export const temperatureOf = ({ seed }: Written): 0 | 1 => (seed === undefined ? 0 : 1);
