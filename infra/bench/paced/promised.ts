/**
 * What the oracle rows are held against: a simulation of the protocol with branches followed, which knows the best
 * block length and the best wait beforehand. Same pace, oracle and length of text; its speed-ups count one round trip
 * at the beginning on both sides, which ours leave out.
 */
export const ALPHAS = [0.6, 0.7, 0.8, 0.9];
export const RTTS_MS = [0, 10, 30, 60];

const PROMISED: Record<string, readonly number[]> = {
  "0.6": [1.88, 1.6, 1.39, 1.29],
  "0.7": [2.29, 1.99, 1.68, 1.46],
  "0.8": [2.96, 2.67, 2.2, 1.86],
  "0.9": [4.23, 3.93, 3.29, 2.93],
};

export const promised = (alpha: number, rttMs: number): number =>
  PROMISED[String(alpha)]![RTTS_MS.indexOf(rttMs)]!;
