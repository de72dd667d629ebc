/** Chains of a running system begun one behind the other by the worker's schedule, and users on whom releases are compared. */
import { setTimeout as sleep } from "node:timers/promises";
import { complete } from "../../bench/client.ts";
import { type Chains, chainsOf, type Operator, tick } from "../../demo/admin.ts";
import { prompts } from "../../demo/domain.ts";
import type { System } from "../../start/system.ts";

const NIGHTLY = "0 3 * * *";
const RECONCILE = "*/15 * * * *";
/** No two chains of one schedule begin in the same minute. */
const DAY_MS = 86_400_000;
const FIRST_NIGHT = Date.UTC(2026, 0, 1, 3);
const POLL_MS = 500;
const USERS = 3;
const TOKENS = 32;
const TIMEOUT_MS = 20_000;

export class ChainsUnderFire {
  readonly #operator: Operator;
  readonly #users: Promise<void>[];
  #nights = 0;
  #isOpen = true;

  constructor(system: System) {
    this.#operator = { address: system.address, secret: system.secrets.admin };
    this.#users = Array.from({ length: USERS }, (_, user) => this.#complete(system, user));
  }

  /** Begins a chain where none goes on, and has the schedule look after the one that does. */
  async keepGoing(): Promise<void> {
    const { chains } = await chainsOf(this.#operator);
    if (chains.every(({ ended }) => ended !== null))
      await tick(this.#operator, NIGHTLY, FIRST_NIGHT + this.#nights++ * DAY_MS);
    else await tick(this.#operator, RECONCILE, Date.now());
  }

  /** The chains, oldest first, once all have ended. Throws an Error where that does not happen. */
  async untilEnded(limitMs: number): Promise<Chains["chains"]> {
    for (const deadline = Date.now() + limitMs; Date.now() < deadline; await sleep(POLL_MS)) {
      const { chains } = await chainsOf(this.#operator);
      if (chains.every(({ ended }) => ended !== null)) return chains.toReversed();
      await tick(this.#operator, RECONCILE, Date.now());
    }
    throw new Error(`a chain has not ended: ${JSON.stringify((await chainsOf(this.#operator)).chains[0])}`);
  }

  async close(): Promise<void> {
    this.#isOpen = false;
    await Promise.all(this.#users);
  }

  /** While the worker is away they fail, as they must. */
  async #complete(system: System, user: number): Promise<void> {
    const settings = { maxTokens: TOKENS, temperature: 0, seed: 0, drafts: "honest", noStore: true } as const;
    for (let asked = 0; this.#isOpen; asked++) {
      const [prompt] = prompts(1, user * 1_000 + (asked % 1_000));
      const wish = { name: `user ${user}`, request: { prompt: prompt! } };
      await complete(system, wish, { ...settings, timeoutMs: TIMEOUT_MS }).catch(() => sleep(POLL_MS));
    }
  }
}
