/** The proxy that stands for the network: what it does to bytes, and that it never changes their order. */
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, describe, expect, it } from "vitest";
import { PERFECT, Way } from "../../../infra/network/conditions.ts";
import { NetworkProxy } from "../../../infra/network/proxy.ts";
import { seededRandom } from "../../../infra/network/random.ts";

describe("when bytes come out", () => {
  const way = () => new Way(seededRandom(7));

  it.each([
    ["at once on a perfect network", {}, [0]],
    ["after the delay", { delayMs: 15 }, [15]],
    ["one after the other on a slow line: 1000 bytes at 80 kbit/s take 100 ms", { kbitPerS: 80 }, [100, 200]],
    ["late when lost, and with them what is behind", { lossShare: 1, lossStallMs: 50, delayMs: 5 }, [55, 55]],
  ])("%s", (_, conditions, expected) => {
    const one = way();
    expect(expected.map(() => one.outAt(0, 1000, { ...PERFECT, ...conditions }))).toEqual(expected);
  });

  it("never before what came in before them, and the same again for the same seed", () => {
    const conditions = { ...PERFECT, delayMs: 5, jitterMs: 40, lossShare: 0.1 };
    const times = (one: Way) => Array.from({ length: 200 }, (_, i) => one.outAt(i, 10, conditions));
    const out = times(way());
    expect(out).toEqual([...out].sort((a, b) => a - b));
    expect(out.every((time, i) => time >= i + 5)).toBe(true);
    expect(times(way())).toEqual(out);
  });

  it("not before a stall has ended", () => {
    const one = way();
    one.stallUntil(80);
    expect(one.outAt(10, 1, PERFECT)).toBe(80);
    expect(one.outAt(90, 1, PERFECT)).toBe(90);
  });
});

describe("the proxy", () => {
  const open: { close(): unknown }[] = [];
  afterEach(async () => {
    for (const one of open.splice(0).reverse()) await one.close();
  });

  it("carries bytes both ways in order, and counts them", async () => {
    const { proxy, client } = await start({ jitterMs: 3 });
    const sent = Buffer.from(Array.from({ length: 5000 }, (_, i) => i % 251));
    for (let at = 0; at < sent.length; at += 100) {
      client.socket.write(sent.subarray(at, at + 100));
      if (at % 1000 === 0) await sleep(1);
    }
    await until(() => client.received().length === sent.length);
    expect(client.received().equals(sent)).toBe(true);
    expect(proxy.traffic).toEqual({ connections: 1, up: 5000, down: 5000 });
  });

  it("takes the delay each way", async () => {
    const { client } = await start({ delayMs: 40 });
    await sleep(20);
    const before = performance.now();
    client.socket.write("x");
    await until(() => client.received().length === 1);
    expect(performance.now() - before).toBeGreaterThan(78);
  });

  it("takes the round trip of the handshake before the first words", async () => {
    const before = performance.now();
    const { client } = await start({ delayMs: 20 });
    client.socket.write("x");
    await until(() => client.received().length === 1);
    expect(performance.now() - before).toBeGreaterThan(78);
  });

  it("passes an end on, after what was said before it", async () => {
    const { client } = await start({ delayMs: 10 });
    client.socket.end("last words");
    await until(() => client.closed());
    expect(client.received().toString()).toBe("last words");
  });

  it("cuts: both sides are reset; a new connection works, unless refused", async () => {
    const { proxy, client, server } = await start({});
    client.socket.write("x");
    await until(() => client.received().length === 1);
    proxy.cut();
    await until(() => client.closed() && server.sockets.every((socket) => socket.destroyed));
    const second = speak(proxy.port);
    second.socket.write("again");
    await until(() => second.received().length === 5);
    proxy.refuse(true);
    const third = speak(proxy.port);
    await until(() => third.closed());
  });

  it("leaves half-open: neither bytes nor the end arrive, and the connection stays", async () => {
    const { proxy, client, server } = await start({});
    client.socket.write("x");
    await until(() => client.received().length === 1);
    proxy.halfOpen();
    client.socket.write("lost");
    server.sockets[0]!.write("lost too");
    server.sockets[0]!.end();
    await sleep(50);
    expect(client.received().toString()).toBe("x");
    expect(client.closed()).toBe(false);
  });

  it("stalls what is under way and what comes", async () => {
    const { proxy, client } = await start({ delayMs: 5 });
    await sleep(20);
    client.socket.write("a");
    await sleep(1);
    const before = performance.now();
    proxy.stall(80);
    client.socket.write("b");
    await until(() => client.received().length === 2);
    expect(performance.now() - before).toBeGreaterThan(79);
  });

  /** An echo server, a proxy before it, and a client that speaks through the proxy. */
  async function start(conditions: Partial<typeof PERFECT>) {
    const server = await echo();
    const proxy = await NetworkProxy.listen({ to: { host: "127.0.0.1", port: server.port }, conditions });
    open.push(proxy);
    return { proxy, server, client: speak(proxy.port) };
  }

  async function echo(): Promise<{ port: number; sockets: Socket[] }> {
    const sockets: Socket[] = [];
    const server: Server = createServer({ allowHalfOpen: true }, (socket) => {
      sockets.push(socket);
      socket.on("error", () => {});
      socket.pipe(socket);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    open.push({
      close: () => {
        for (const socket of sockets) socket.destroy();
        server.close();
      },
    });
    return { port: (server.address() as AddressInfo).port, sockets };
  }

  function speak(port: number) {
    const socket = connect({ port, host: "127.0.0.1", noDelay: true });
    const chunks: Buffer[] = [];
    let closed = false;
    socket.on("data", (chunk) => chunks.push(chunk));
    socket.on("error", () => {});
    socket.once("close", () => {
      closed = true;
    });
    open.push({ close: () => socket.destroy() });
    return { socket, received: () => Buffer.concat(chunks), closed: () => closed };
  }
});

async function until(condition: () => boolean): Promise<void> {
  for (let i = 0; i < 400 && !condition(); i++) await sleep(5);
  expect(condition()).toBe(true);
}
