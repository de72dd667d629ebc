/**
 * A TCP proxy that stands for the network between an edge and a verifier: delay, jitter, bandwidth, losses as
 * stalls, cuts and half-open connections. A connection costs the round trip of TCP's handshake. It counts TCP payload bytes each way and never changes their order.
 */
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { type Conditions, PERFECT, Way } from "./conditions.ts";
import { Pipe } from "./pipe.ts";
import { seededRandom } from "./random.ts";

export type Address = { host: string; port: number };
export type ProxyOptions = {
  to: Address;
  /** Where to listen: a free port of the loopback interface unless named. */
  listen?: Partial<Address>;
  conditions?: Partial<Conditions>;
  seed?: number;
};
/** `up`: from who connected to `to`. */
export type Traffic = { connections: number; up: number; down: number };

type Connection = { client: Socket; server: Socket; pipes: Pipe[] };

export class NetworkProxy {
  readonly traffic: Traffic = { connections: 0, up: 0, down: 0 };
  /** May be changed at any time; holds for what arrives from then on. */
  conditions: Conditions;
  readonly #to: Address;
  readonly #random: () => number;
  readonly #server: Server;
  readonly #connections = new Set<Connection>();
  #refuses = false;

  private constructor({ to, conditions, seed = 1 }: ProxyOptions) {
    this.#to = to;
    this.conditions = { ...PERFECT, ...conditions };
    this.#random = seededRandom(seed);
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => this.#accept(client));
  }

  /** Rejects where the port is taken. */
  static async listen(options: ProxyOptions): Promise<NetworkProxy> {
    const proxy = new NetworkProxy(options);
    const { host = "127.0.0.1", port = 0 } = options.listen ?? {};
    await new Promise<void>((resolve, reject) => {
      proxy.#server.once("error", reject);
      proxy.#server.listen(port, host, resolve);
    });
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Ends every connection with a reset, both sides at once. */
  cut(): void {
    for (const { client, server, pipes } of this.#connections) {
      for (const pipe of pipes) pipe.stop();
      client.resetAndDestroy();
      server.resetAndDestroy();
    }
  }

  /** Every connection stays open and carries nothing any more; new ones work. */
  halfOpen(): void {
    for (const { pipes } of this.#connections) for (const pipe of pipes) pipe.silence();
  }

  /** Nothing comes out, either way, for so long. */
  stall(ms: number): void {
    const until = performance.now() + ms;
    for (const { pipes } of this.#connections) for (const pipe of pipes) pipe.stallUntil(until);
  }

  /** Whether new connections are reset at once: a replica that is away. */
  refuse(refuses: boolean): void {
    this.#refuses = refuses;
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.cut();
    await closed;
  }

  #accept(client: Socket): void {
    if (this.#refuses) {
      client.resetAndDestroy();
      return;
    }
    this.traffic.connections++;
    const server = connect({ ...this.#to, allowHalfOpen: true, noDelay: true });
    const connection: Connection = { client, server, pipes: [] };
    const up = this.#pipe(client, server, "up");
    // The client's handshake is with the proxy and takes no time: its first words wait for that round trip instead.
    up.stallUntil(performance.now() + 3 * this.conditions.delayMs);
    connection.pipes.push(up, this.#pipe(server, client, "down"));
    this.#connections.add(connection);
    for (const socket of [client, server]) {
      // A reset shows as the end at the other side; `close` follows in any case.
      socket.on("error", () => {});
      socket.once("close", () => {
        if (client.destroyed && server.destroyed) this.#connections.delete(connection);
      });
    }
  }

  #pipe(from: Socket, to: Socket, direction: "up" | "down"): Pipe {
    const count = (bytes: number) => {
      this.traffic[direction] += bytes;
    };
    return new Pipe(from, to, new Way(this.#random), () => this.conditions, count);
  }
}
