/** The part of the service's configuration that is about `ENGINE=vllm`. */
import { z } from "zod";
import { integer } from "../../integer.ts";

export const vllmVariables = {
  /** The target's id; its folder's name where absent. */
  TARGET_ID: z.string().min(1).max(64).optional(),
  /** The interpreter of the environment that has vLLM and outrider_vllm. */
  VLLM_PYTHON: z.string().min(1).default("python3"),
  /** "auto": the dtype that the model's configuration names. */
  VLLM_DTYPE: z.enum(["auto", "float32", "bfloat16", "float16"]).default("auto"),
  TENSOR_PARALLEL: integer(1, 64).default(1),
  PIPELINE_PARALLEL: integer(1, 64).default(1),
  /** Copies of the model, each with its own process, slots and cache. */
  DATA_PARALLEL: integer(1, 64).default(1),
  /** What runs the ranks of one copy: processes of this machine, or Ray over many. */
  VLLM_EXECUTOR: z.enum(["auto", "uni", "mp", "ray"]).default("auto"),
  /** GPUs by index, shared out among the copies: "0,1,2,3". All that there are where absent. */
  VLLM_DEVICES: z
    .string()
    .regex(/^\d+(,\d+)*$/, "must be a list like 0,1,2,3")
    .transform((text) => text.split(","))
    .optional(),
  /** Most hint rows of one sequence in a step. */
  VLLM_HINT_ROWS: integer(1, 64).default(16),
  /** What a hint row adds to a step, in per cent of a plain one; measured where absent. */
  VLLM_ROW_PRICE_PERCENT: integer(1, 100).optional(),
  /** Per cent of a GPU's memory. */
  VLLM_MEMORY_PERCENT: integer(1, 99).default(90),
  /** "1": no compiled graphs; starts sooner, runs slower on a GPU. */
  VLLM_EAGER: z.enum(["0", "1"]).default("0"),
};

const schema = z.object(vllmVariables);
type Variables = z.infer<typeof schema>;

export type VllmConfig = Readonly<{
  id: string | undefined;
  python: string;
  dataParallel: number;
  /** Of each copy, the GPUs that it may see; undefined: all. */
  devices: readonly string[] | undefined;
  /** What the Python process is told, beside what it has in common with the other engine. */
  configuration: Readonly<Record<string, string | number | boolean | null>>;
}>;

/** The devices must be enough for all copies; Ray finds its own. */
export function checkVllm(e: Variables, context: z.RefinementCtx): void {
  if (!e.VLLM_DEVICES) return;
  const perCopy = e.TENSOR_PARALLEL * e.PIPELINE_PARALLEL;
  const complain = (message: string) => context.addIssue({ code: "custom", path: ["VLLM_DEVICES"], message });
  if (e.VLLM_EXECUTOR === "ray") complain("is not for VLLM_EXECUTOR=ray: Ray places the ranks");
  else if (e.VLLM_DEVICES.length !== perCopy * e.DATA_PARALLEL)
    complain(
      `names ${e.VLLM_DEVICES.length} GPUs, but ${e.DATA_PARALLEL} copies of ${perCopy} need ${perCopy * e.DATA_PARALLEL}`,
    );
}

export function readVllm(e: Variables): VllmConfig {
  const perCopy = e.TENSOR_PARALLEL * e.PIPELINE_PARALLEL;
  const devices = e.VLLM_DEVICES;
  return {
    id: e.TARGET_ID,
    python: e.VLLM_PYTHON,
    dataParallel: e.DATA_PARALLEL,
    devices:
      devices &&
      Array.from({ length: e.DATA_PARALLEL }, (_, copy) =>
        devices.slice(copy * perCopy, (copy + 1) * perCopy).join(","),
      ),
    configuration: {
      dtype: e.VLLM_DTYPE,
      hint_rows: e.VLLM_HINT_ROWS,
      tensor_parallel: e.TENSOR_PARALLEL,
      pipeline_parallel: e.PIPELINE_PARALLEL,
      executor: e.VLLM_EXECUTOR,
      eager: e.VLLM_EAGER === "1",
      row_price: e.VLLM_ROW_PRICE_PERCENT === undefined ? null : e.VLLM_ROW_PRICE_PERCENT / 100,
      memory_share: e.VLLM_MEMORY_PERCENT / 100,
    },
  };
}
