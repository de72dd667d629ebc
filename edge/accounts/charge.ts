/** What a request is charged to its key: reserved before it runs, settled when it has ended, however it does. */
import type { Quota, QuotaLedger, Reservation } from "./quota.ts";

export type Account = { quota: Quota; ledger: QuotaLedger };

type KeepAlive = (work: Promise<unknown>) => void;

export class Charge {
  /** Resolves when the account has answered; null where the key has no quota. */
  readonly reserved: Promise<Reservation | null>;
  /** Tokens that were asked for. */
  readonly most: number;
  readonly #account: Account | undefined;
  readonly #id = crypto.randomUUID();
  readonly #keepAlive: KeepAlive;
  #used = 0;
  #settled = false;

  /** Reserves `most` tokens at once. `keepAlive`: the request's waitUntil. */
  constructor(account: Account | undefined, most: number, keepAlive: KeepAlive) {
    this.most = most;
    this.#account = account;
    this.#keepAlive = keepAlive;
    this.reserved = account ? account.ledger.reserve(this.#id, most, account.quota) : Promise.resolve(null);
    this.reserved.catch(() => {});
  }

  add(tokens: number): void {
    this.#used += tokens;
  }

  /** Charges what was added. What is called after the first time has no effect. */
  settle(): void {
    if (this.#settled || !this.#account) return;
    this.#settled = true;
    const { ledger } = this.#account;
    const settled = this.reserved.then((reservation) =>
      reservation?.granted ? ledger.settle(this.#id, this.#used) : undefined,
    );
    this.#keepAlive(settled.catch(() => {}));
  }
}
