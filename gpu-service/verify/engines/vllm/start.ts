/** All copies of a target in vLLM, as one engine. */
import type { Config } from "../../config.ts";
import type { EngineListener } from "../engine.ts";
import { EnginePool } from "../pool.ts";
import { startVllmEngine, type VllmEngine, type VllmOptions } from "./engine.ts";

/** What is set for every process unless the service's environment says otherwise; the last three matter on a CPU only. */
const USUAL_ENV = {
  VLLM_LOGGING_LEVEL: "WARNING",
  VLLM_NO_USAGE_STATS: "1",
  HF_HUB_OFFLINE: "1",
  TOKENIZERS_PARALLELISM: "false",
  VLLM_CPU_KVCACHE_SPACE: "1",
  VLLM_CPU_OMP_THREADS_BIND: "nobind",
};

/** Rejects with what is wrong if one does not start. */
export async function startVllm(
  config: Config,
  env: Readonly<Record<string, string | undefined>>,
  listener: EngineListener,
): Promise<EnginePool<VllmEngine>> {
  const { dataParallel } = config.vllm;
  let copy = 0;
  const startOne = (own: EngineListener) => startVllmEngine(optionsOf(config, env, copy++), own);
  return await EnginePool.start(dataParallel, startOne, listener);
}

/** What is bounded for the service is shared out among the copies. */
function optionsOf(
  config: Config,
  env: Readonly<Record<string, string | undefined>>,
  copy: number,
): VllmOptions {
  const { vllm, slots, context, queueLimit, queueTimeoutMs } = config;
  const devices = vllm.devices?.[copy];
  return {
    folder: config.targetFolder,
    id: vllm.id,
    python: vllm.python,
    slots,
    context,
    queueLimit: Math.ceil(queueLimit / vllm.dataParallel),
    queueTimeoutMs,
    configuration: { ...vllm.configuration, prefix_cache: config.retainedBytes > 0 },
    env: {
      ...USUAL_ENV,
      OMP_NUM_THREADS: String(config.threads),
      ...withoutSecrets(env),
      ...(devices === undefined ? {} : { CUDA_VISIBLE_DEVICES: devices, HIP_VISIBLE_DEVICES: devices }),
    },
  };
}

/** The process has no use for the link's keys. */
function withoutSecrets({
  LINK_KEYS: _,
  ...env
}: Readonly<Record<string, string | undefined>>): Record<string, string | undefined> {
  return env;
}
