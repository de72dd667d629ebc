/** A random schedule of faults for one completion: the same for the same seed. */
import type { Conditions } from "../network/conditions.ts";
import { seededRandom } from "../network/random.ts";

export type Drafting = "off" | "oracle" | "adversarial";
export type Fault = { atMs: number; replica: 0 | 1 } & (
  | { kind: "cut" | "half-open" }
  | { kind: "stall" | "away"; forMs: number }
  | { kind: "network"; conditions: Conditions }
);
export type FaultSchedule = {
  seed: number;
  drafting: Drafting;
  /** The network to each replica at the beginning. */
  networks: [Conditions, Conditions];
  faults: Fault[];
  promptIds: number[];
  temperature: number;
};

/** A completion may break off so often and still find a replica. */
const MAX_FAULTS = 4;
const WITHIN_MS = 350;
const PROMPTS = 5;
const VOCABULARY = 1024;
const KINDS = ["cut", "half-open", "stall", "away", "network"] as const;

export function drawFaultSchedule(seed: number): FaultSchedule {
  const random = seededRandom(seed);
  const below = (n: number) => Math.floor(random() * n);
  const fault = (): Fault => {
    const common = { atMs: below(WITHIN_MS), replica: below(2) as 0 | 1 };
    const kind = KINDS[below(KINDS.length)]!;
    if (kind === "network") return { ...common, kind, conditions: drawConditions(random) };
    if (kind === "stall" || kind === "away") return { ...common, kind, forMs: 20 + below(180) };
    return { ...common, kind };
  };
  return {
    seed,
    drafting: (["off", "oracle", "oracle", "adversarial"] as const)[below(4)]!,
    networks: [drawConditions(random), drawConditions(random)],
    faults: Array.from({ length: 1 + below(MAX_FAULTS) }, fault).sort((a, b) => a.atMs - b.atMs),
    promptIds: promptOf(below(PROMPTS)),
    temperature: below(2) * 0.8,
  };
}

function drawConditions(random: () => number): Conditions {
  const sometimes = (value: number) => (random() < 0.4 ? value : 0);
  return {
    delayMs: sometimes(random() * 20),
    jitterMs: sometimes(random() * 10),
    kbitPerS: sometimes(200 + random() * 2000),
    lossShare: sometimes(random() * 0.05),
    lossStallMs: 40,
  };
}

/** Few prompts, so that each one's text has to be made without faults only once. */
function promptOf(n: number): number[] {
  const random = seededRandom(1000 + n);
  return Array.from({ length: 4 + n * 7 }, () => 3 + Math.floor(random() * (VOCABULARY - 3)));
}
