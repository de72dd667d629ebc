/** What a system is started with, and what it is then. */
import type { PublishingConfig } from "../../gpu-service/training/config.ts";
import type { NetworkProxy } from "../network/proxy.ts";
import type { EngineName } from "./engine.ts";
import type { DataFolder } from "./paths.ts";
import type { Ports } from "./ports.ts";
import type { Exit } from "./processes.ts";
import type { Secrets } from "./secrets.ts";
import type { TargetName } from "./target.ts";

export type SystemOptions = {
  data: DataFolder;
  target: TargetName;
  /** Serve the tiny target where the wanted one cannot be fetched. */
  orTiny?: boolean;
  ports: Ports;
  /** A line of progress for people. */
  say?: (line: string) => void;
  /** What the worker's schedule posts as a job; nothing when absent: training takes the machine for a while. */
  retrainRecipe?: string | undefined;
  /** Dials of the chain that retrains (edge/retraining/settings.ts). */
  retraining?: Record<string, number> | undefined;
  /** Lets requests ask for random and adversarial hints: for the losslessness check only. */
  testHints?: boolean;
  /** Room for drafts in the worker, in bytes, and a second Worker for canaries that do not fit it. */
  secondWorker?: { draftMemoryBytes: number };
  /** Puts a network between worker and verifier, for benchmarks: `System.network`. */
  withNetwork?: boolean;
  /** How the worker reaches the verifier; it chooses when absent. */
  link?: "own" | "shared";
  /** The verifier's engine; ENGINE of the environment when absent. */
  engine?: EngineName;
  /** More of the verifier's environment, for benchmarks. */
  verifierEnv?: Record<string, string>;
  /** The same of the training service's. */
  trainingEnv?: Record<string, string>;
  /** The worker has loaded nothing when it begins to serve, for benchmarks. */
  cold?: boolean;
  /** Verifier on core 0, everything else on core 1: benchmarks on two cores measure this way. */
  pinned?: boolean;
};

export type Part = "verifier" | "training" | "worker";
export type System = {
  /** Base address of the public API, without a slash at its end. */
  address: string;
  verifier: string;
  training: string;
  /** A development API key. */
  key: string;
  target: string;
  secrets: Secrets;
  data: DataFolder;
  /** How releases are published into it. */
  publishing: PublishingConfig;
  /** Between worker and verifier, where it was asked for. */
  network: NetworkProxy | undefined;
  /** Settles when a part ends that nobody asked to end. */
  unexpectedExit: Promise<Exit>;
  pids(): number[];
  /** Leader of the process group of one part. */
  pid(part: Part): number;
  /** Kills a part, as a crash would, and starts it again; it is ready then. */
  restart(part: Part): Promise<void>;
  stop(): Promise<void>;
};
