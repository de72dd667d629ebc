import { connect, type Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { LinkServer } from "../../gpu-service/verify/link/server.ts";
import { Metrics } from "../../gpu-service/verify/metrics.ts";

let server: LinkServer;
let port: number;
let faults: unknown[];
const note = (fault: unknown) => faults.push(fault);

beforeEach(async () => {
  faults = [];
  process.on("uncaughtException", note).on("unhandledRejection", note);
  const options = { host: "127.0.0.1", port: 0, maxSockets: 1, leaseMs: 1000, now: () => 0 };
  server = new LinkServer(options, new Metrics(), () => "loading the target");
  port = await server.listen();
});
afterEach(async () => {
  await server.close();
  process.off("uncaughtException", note).off("unhandledRejection", note);
});

const open = (): Promise<Socket> =>
  new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => resolve(socket));
    socket.on("error", () => {});
  });

async function statusOf(head: string): Promise<string> {
  const socket = await open();
  socket.write(`${head}\r\nHost: verifier\r\n\r\n`);
  const [status = ""] = await new Promise<string[]>((resolve) => {
    socket.once("data", (data) => resolve(String(data).split("\r\n")));
    socket.once("close", () => resolve([]));
  });
  socket.destroy();
  return status;
}

const UPGRADE = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13";

describe("a server that is not ready", () => {
  it("answers health, and refuses links", async () => {
    expect(await statusOf("GET /healthz?x=1 HTTP/1.1")).toBe("HTTP/1.1 200 OK");
    expect(await statusOf("GET /readyz HTTP/1.1")).toBe("HTTP/1.1 503 Service Unavailable");
    expect(await statusOf(`GET /link HTTP/1.1\r\n${UPGRADE}`)).toBe("HTTP/1.1 503 Service Unavailable");
  });

  it.each(["//", "http://[", "*"])("lives on after a request for %s", async (target) => {
    expect(await statusOf(`GET ${target} HTTP/1.1`)).toMatch(/^HTTP\/1.1 4/);
    expect(await statusOf(`GET ${target} HTTP/1.1\r\n${UPGRADE}`)).toBe("HTTP/1.1 404 Not Found");
    expect(faults).toEqual([]);
  });

  it("lives on when a refused peer resets its socket", async () => {
    for (let n = 0; n < 20; n++) {
      const socket = await open();
      socket.write(`GET /link HTTP/1.1\r\nHost: verifier\r\n${UPGRADE}\r\n\r\n`);
      socket.resetAndDestroy();
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(faults).toEqual([]);
  });
});
