/** A WebSocket to the verifier, as a Worker opens one: by an HTTP request that asks for the upgrade. */
import { LinkError } from "./link.ts";

const CONNECT_TIMEOUT_MS = 5_000;

/** `url`: ws:// or wss:// of the verifier. The socket is not accepted yet. Rejects with a LinkError. */
export async function connect(url: string): Promise<WebSocket> {
  const address = new URL("/link", url.replace(/^ws/, "http"));
  const timeout = new AbortController();
  const timer = setTimeout(() => timeout.abort(new Error("no answer")), CONNECT_TIMEOUT_MS);
  let response: Response;
  try {
    response = await fetch(address, { headers: { Upgrade: "websocket" }, signal: timeout.signal });
  } catch (error) {
    throw new LinkError(`${url}: ${error instanceof Error ? error.message : String(error)}`);
  } finally {
    // The signal goes on to rule the open socket: an AbortSignal.timeout would cut it off in mid-text.
    clearTimeout(timer);
  }
  const socket = response.webSocket;
  if (socket) return socket;
  await response.body?.cancel();
  throw new LinkError(`${url}: answered ${response.status} instead of opening a WebSocket`);
}

/**
 * A replica that says nothing for one to two times as long is lost, though its socket may look open. Longer than a
 * place in its queue and the prefill of a long prompt take.
 */
const SILENCE_MS = 60_000;

export type SocketEvents = {
  text(text: string): void;
  /** It failed, closed or fell silent; nothing follows. */
  broken(message: string): void;
};

/** A socket that is heard and watched. */
export class VerifierSocket {
  readonly #socket: WebSocket;
  readonly #events: SocketEvents;
  #live = true;
  #heard = true;
  #watch: ReturnType<typeof setInterval> | undefined;

  /** Accepts `socket` once there are listeners: what came before them, a close among it, would be lost. */
  constructor(socket: WebSocket, events: SocketEvents) {
    this.#socket = socket;
    this.#events = events;
    this.watch(true);
    socket.addEventListener("message", (event) => {
      if (!this.#live) return;
      this.#heard = true;
      if (typeof event.data === "string") events.text(event.data);
      else this.breakOff("the verifier sent a binary message");
    });
    socket.addEventListener("close", (event) =>
      this.breakOff(`the verifier closed the link (${event.code})`),
    );
    socket.addEventListener("error", () => this.breakOff("the link to the verifier failed"));
    socket.accept();
  }

  get live(): boolean {
    return this.#live;
  }

  /** Whether silence means that it is lost: not where nothing is asked of it. */
  watch(on: boolean): void {
    clearInterval(this.#watch);
    this.#heard = true;
    if (!on) return;
    this.#watch = setInterval(() => {
      if (!this.#heard) this.breakOff(`the verifier has said nothing for ${SILENCE_MS / 1000} s`);
      this.#heard = false;
    }, SILENCE_MS);
  }

  send(text: string): void {
    if (!this.#live) return;
    try {
      this.#socket.send(text);
    } catch {
      // The socket is closing: its close event follows.
    }
  }

  close(): void {
    if (!this.#live) return;
    this.#live = false;
    clearInterval(this.#watch);
    this.#socket.close(1000);
  }

  breakOff(message: string): void {
    if (!this.#live) return;
    this.close();
    this.#events.broken(message);
  }
}
