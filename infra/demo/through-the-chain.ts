/** A chain watched from its tick to its end, the domain served on all the while. */
import { setTimeout as sleep } from "node:timers/promises";
import { StartError } from "../start/errors.ts";
import { type Chains, chainsOf, type Operator, tick } from "./admin.ts";
import { prompts } from "./domain.ts";
import type { Phases } from "./phases.ts";
import { type Books, type Customer, completeAll } from "./traffic.ts";

export type Watch = {
  /** Whose requests the releases are compared on. */
  customer: Customer;
  atOnce: number;
  books: Books;
  phases: Phases;
  say: (line: string) => void;
};
type Chain = Chains["chains"][number];

const LIVE_FROM = 20_000;
const RECONCILE = "*/15 * * * *";
const CHAIN_TIMEOUT_MS = 1_800_000;
const PAUSE_MS = 1_000;
/** What a chain that was in this state has done, in the words of the phases. */
const PHASE_OF: Record<string, string> = { training: "training and gates", canary: "canary" };

/** Throws StartError where there is no chain, or it does not end. */
export async function throughTheChain(operator: Operator, watch: Watch): Promise<Chain> {
  const { customer, atOnce, books, phases } = watch;
  const deadline = Date.now() + CHAIN_TIMEOUT_MS;
  let [told, served, state] = [0, 0, ""];
  while (Date.now() < deadline) {
    const now = await chainsOf(operator);
    const chain = now.chains[0];
    if (!chain) throw new StartError("the tick began no chain");
    told = tell(now, told, watch.say);
    const phase = PHASE_OF[state];
    if (chain.state !== state && phase) phases.end(phase);
    state = chain.state;
    if (chain.ended !== null) return chain;
    // The trainer has the machine but for one request at a time; the releases are compared under load.
    const many = chain.state === "canary" ? atOnce : 1;
    await completeAll(customer, prompts(many, LIVE_FROM + served), many, books);
    served += many;
    if (chain.state !== "canary") await sleep(PAUSE_MS);
    await tick(operator, RECONCILE, Date.now());
  }
  throw new StartError(`the chain goes on after ${CHAIN_TIMEOUT_MS / 60_000} minutes: ${state}`);
}

/** `told`: entries of the audit that were told before; returns how many are now. */
function tell({ audit }: Chains, told: number, say: (line: string) => void): number {
  const entries = audit.toReversed();
  for (const { at, done } of entries.slice(told)) say(`  ${at.slice(11, 19)}  ${done}`);
  return entries.length;
}
