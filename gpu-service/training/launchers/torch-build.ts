/** Which build of torch an environment gets: chosen on purpose, and said. Pure. */

export type TorchBuild = { build: "cpu" | "gpu"; reason: string };
export type TorchFacts = { wanted: "cpu" | "gpu" | undefined; hasNvidia: boolean; platform: NodeJS.Platform };

/** Free disk that each build needs, unpacked and while it is fetched. The GPU build brings CUDA's libraries. */
export const NEEDED_DISK_MIB = { cpu: 2_500, gpu: 14_000 } as const;

export function chooseTorchBuild({ wanted, hasNvidia, platform }: TorchFacts): TorchBuild {
  if (wanted) return { build: wanted, reason: `OUTRIDER_TORCH=${wanted}` };
  if (platform !== "linux") return { build: "cpu", reason: "this platform has one build, without CUDA" };
  return hasNvidia
    ? { build: "gpu", reason: "nvidia-smi found a GPU" }
    : { build: "cpu", reason: "no NVIDIA GPU found; OUTRIDER_TORCH=gpu chooses the GPU build" };
}

/** What to ask pip for, best first. `pin`: as in the requirements, such as `torch==2.13.0`. */
export function torchRequirements(pin: string, build: "cpu" | "gpu", platform: NodeJS.Platform): string[] {
  const version = /^torch==([0-9.]+)$/.exec(pin)?.[1];
  if (!version) throw new Error(`requirements: "${pin}" does not pin torch as torch==X`);
  // On Linux the plain name is the CUDA build; the CPU build is a local version where an index offers it.
  return build === "cpu" && platform === "linux" ? [`torch==${version}+cpu`, pin] : [pin];
}

/** Takes torch's own line out of a requirements file: it is installed first, from where its build is offered. */
export function splitTorchPin(requirements: string): { torch: string | undefined; others: string } {
  const lines = requirements.split(/\r?\n/).map((line) => line.replace(/\s+#.*$/, "").trim());
  const torch = lines.find((line) => /^torch==/.test(line));
  return {
    torch,
    others: lines.filter((line) => line !== torch && line !== "" && !line.startsWith("#")).join("\n"),
  };
}
