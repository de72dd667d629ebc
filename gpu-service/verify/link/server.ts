/** The service's one port: health, readiness and metrics over HTTP, the link as a WebSocket on /link. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { type WebSocket, WebSocketServer } from "ws";
import { MAX_FRAME_BYTES } from "../../protocol/frames.ts";
import type { Metrics } from "../metrics.ts";
import { Connection } from "./connection.ts";
import type { Link } from "./link.ts";

export type ServerOptions = {
  host: string;
  port: number;
  maxSockets: number;
  leaseMs: number;
  now: () => number;
};

/** `undefined`: ready; otherwise why not. */
export type Readiness = () => string | undefined;

export class LinkServer {
  readonly #http: Server;
  readonly #sockets = new WebSocketServer({
    noServer: true,
    maxPayload: MAX_FRAME_BYTES,
    perMessageDeflate: false,
  });
  readonly #options: ServerOptions;
  readonly #metrics: Metrics;
  readonly #notReady: Readiness;
  #link: Link | undefined;
  #leases: NodeJS.Timeout | undefined;

  constructor(options: ServerOptions, metrics: Metrics, notReady: Readiness) {
    this.#options = options;
    this.#metrics = metrics;
    this.#notReady = notReady;
    this.#http = createServer({ noDelay: true }, (request, response) => void this.#answer(request, response));
    this.#http.on("upgrade", (request, socket, head) => this.#upgrade(request, socket as Socket, head));
  }

  /** Listens; resolves with the port. Rejects with a clear error when the port is taken. */
  listen(): Promise<number> {
    const { host, port } = this.#options;
    return new Promise((resolve, reject) => {
      this.#http.once("error", (error: NodeJS.ErrnoException) =>
        reject(error.code === "EADDRINUSE" ? new Error(`VERIFY_PORT: ${host}:${port} is in use`) : error),
      );
      this.#http.listen(port, host, () => resolve((this.#http.address() as AddressInfo).port));
    });
  }

  /** From now on sockets are taken. */
  serve(link: Link): void {
    this.#link = link;
    const { leaseMs } = this.#options;
    this.#leases = setInterval(() => link.checkLeases(leaseMs), Math.ceil(leaseMs / 3));
  }

  async close(): Promise<void> {
    clearInterval(this.#leases);
    this.#sockets.close();
    const closed = new Promise<void>((resolve) => this.#http.close(() => resolve()));
    const timer = setTimeout(() => this.#http.closeAllConnections(), 500);
    for (const connection of this.#link?.connections ?? []) connection.terminate();
    await closed;
    clearTimeout(timer);
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = pathOf(request);
    if (request.method !== "GET") return end(response, 405, "only GET is answered here\n");
    switch (path) {
      case "/healthz":
        return end(response, 200, "ok\n");
      case "/readyz": {
        const why = this.#notReady();
        return why ? end(response, 503, `${why}\n`) : end(response, 200, "ready\n");
      }
      case "/metrics":
        response.setHeader("content-type", this.#metrics.registry.contentType);
        return end(response, 200, await this.#metrics.registry.metrics());
      default:
        return end(response, 404, "no such path; the link is a WebSocket on /link\n");
    }
  }

  #upgrade(request: IncomingMessage, socket: Socket, head: Buffer): void {
    const path = pathOf(request);
    const link = this.#link;
    const full = link && link.connections.size >= this.#options.maxSockets;
    if (path !== "/link") reject(socket, 404, "Not Found");
    else if (!link || full || this.#notReady()) reject(socket, 503, "Service Unavailable");
    else
      this.#sockets.handleUpgrade(request, socket, head, (webSocket) =>
        this.#connect(webSocket, socket, link),
      );
  }

  #connect(webSocket: WebSocket, socket: Socket, link: Link): void {
    const events = {
      frame: (c: Connection, frame: Parameters<Link["receive"]>[1]) => link.receive(c, frame),
      closed: (c: Connection) => link.closed(c),
    };
    link.opened(new Connection(webSocket, socket, events, this.#options.now));
  }
}

/** Not by `new URL`, which throws on some targets that a client may send, such as `//`. */
const pathOf = ({ url = "/" }: IncomingMessage): string => url.split("?", 1)[0]!;

function end(response: ServerResponse, status: number, body: string): void {
  response.statusCode = status;
  response.end(body);
}

function reject(socket: Socket, status: number, reason: string): void {
  // Node has let go of an upgrading socket: without a listener a peer that resets it would end the process.
  socket.on("error", () => socket.destroy());
  socket.end(`HTTP/1.1 ${status} ${reason}\r\nconnection: close\r\nretry-after: 1\r\n\r\n`);
}
