/** One socket to a replica: opened when it is needed, kept while it is, tried again after a while when it fails. */
import { LinkError } from "./link.ts";
import { connect, type SocketEvents, VerifierSocket } from "./socket.ts";

export const IDLE_MS = 60_000;
const FIRST_BACKOFF_MS = 250;
const MAX_BACKOFF_MS = 10_000;

export class WarmSocket {
  readonly #events: SocketEvents;
  readonly #now: () => number;
  #socket: VerifierSocket | undefined;
  #opening: Promise<string | undefined> | undefined;
  #failures = 0;
  #retryAt = 0;
  #lastFailure = "";
  #busy = false;
  #idle: ReturnType<typeof setTimeout> | undefined;

  /** `now`: Unix milliseconds. */
  constructor(events: SocketEvents, now: () => number) {
    this.#events = events;
    this.#now = now;
  }

  /** Resolves with why there is no socket, or undefined. At once while an earlier failure is not long ago. */
  async ready(url: string): Promise<string | undefined> {
    if (this.#socket?.live) return undefined;
    if (this.#now() < this.#retryAt) return `${this.#lastFailure} (not tried again yet)`;
    this.#opening ??= this.#open(url).finally(() => {
      this.#opening = undefined;
    });
    return this.#opening;
  }

  send(text: string): void {
    this.#socket?.send(text);
  }

  /** Whether sequences run on it: without any it is closed after a while. */
  busy(on: boolean): void {
    if (on === this.#busy) return;
    this.#busy = on;
    this.#attend();
  }

  breakOff(message: string): void {
    this.#socket?.breakOff(message);
  }

  async #open(url: string): Promise<string | undefined> {
    try {
      const { text, broken } = this.#events;
      this.#socket = new VerifierSocket(await connect(url), { text, broken });
      this.#attend();
      this.#failures = 0;
      return undefined;
    } catch (error) {
      if (!(error instanceof LinkError)) throw error;
      this.#retryAt = this.#now() + Math.min(MAX_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** this.#failures++);
      this.#lastFailure = error.message;
      return error.message;
    }
  }
  #attend(): void {
    this.#socket?.watch(this.#busy);
    clearTimeout(this.#idle);
    this.#idle = this.#busy ? undefined : setTimeout(() => this.#socket?.close(), IDLE_MS);
  }
}
