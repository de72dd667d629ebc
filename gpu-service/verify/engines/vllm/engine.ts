/** vLLM as an engine: a Python process (process.ts) makes the tokens of the sequences that are kept here (sequences.ts). */
import type { Engine, EngineInfo, EngineListener } from "../engine.ts";
import type { Ready } from "./messages.ts";
import { type ProcessOptions, VllmProcess } from "./process.ts";
import { type Bounds, Sequences } from "./sequences.ts";
import { openTarget, type Target } from "./target.ts";

export type VllmOptions = Bounds & {
  /** Folder of the target, and its id where that is not the folder's name. */
  folder: string;
  id: string | undefined;
  python: string;
  env: ProcessOptions["env"];
  context: number;
  /** More of what the process is told: `outrider_vllm.serve.Configuration`. */
  configuration: Readonly<Record<string, unknown>>;
};

export type VllmEngine = Engine & { readonly ready: Ready };

/** Rejects with what is wrong if the target cannot be loaded. */
export async function startVllmEngine(options: VllmOptions, listener: EngineListener): Promise<VllmEngine> {
  const target = await openTarget(options.folder, options.id);
  const context = Math.min(options.context, target.context);
  const { slots } = options;
  const configuration = { ...options.configuration, model: target.folder, context, slots };
  let engine: Sequences | undefined;
  return await new Promise((resolve, reject) => {
    const starting = VllmProcess.start(
      { ...options, configuration },
      {
        message: (message) => {
          if (engine) engine.hear(message);
          else if (message.type === "ready") {
            void starting.then((process) => {
              engine = new Sequences(process, infoOf(target, message), options, listener);
              resolve(Object.assign(engine, { ready: message }));
            });
          } else if (message.type === "failed") reject(new Error(message.reason));
        },
        lost: (reason) => {
          if (engine) engine.lost(reason);
          else reject(new Error(reason));
        },
      },
    );
    starting.catch(reject);
  });
}

const infoOf = (target: Target, ready: Ready): EngineInfo => ({
  target: target.id,
  tokenizer: target.tokenizer,
  numerics: numericsOf(target, ready),
  vocabSize: ready.vocabulary,
  context: ready.context,
});

/** What bit-equality holds within. "close": texts are equal up to numerics only, so says the self-test. */
function numericsOf(target: Target, ready: Ready): string {
  const { version, dtype, device, tensor_parallel, pipeline_parallel, fingerprint, exact } = ready;
  const kernels = `${device}-tp${tensor_parallel}-pp${pipeline_parallel}`;
  const id = target.id.slice(0, 48);
  return `${id}:${dtype}:vllm${version}:${kernels}:${fingerprint}:${exact ? "exact" : "close"}`;
}
