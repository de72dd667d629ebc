/** The suites of tests, by name. */

/** `npm test` runs these. */
export const USUAL_SUITES = ["lint", "unit", "workerd", "service", "training"] as const;
/** `ray` needs a gigabyte more and `vllm` several: only where they are asked for. */
export const SUITES = [...USUAL_SUITES, "ray", "vllm"] as const;
export type Suite = (typeof SUITES)[number];
