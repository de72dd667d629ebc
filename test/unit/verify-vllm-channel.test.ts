/** The local socket between the service and the process around vLLM: who is let in, and what may be lost. */
import { once } from "node:events";
import { existsSync, statSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { dirname } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { Channel } from "../../gpu-service/verify/engines/vllm/channel.ts";

describe("the channel to a process", () => {
  let channel: Channel | undefined;
  const sockets: Socket[] = [];
  afterEach(() => {
    for (const socket of sockets.splice(0)) socket.destroy();
    channel?.close();
  });

  const heard: string[] = [];
  async function open(): Promise<Channel> {
    heard.length = 0;
    channel = await Channel.open((line) => heard.push(line));
    return channel;
  }
  async function call(...lines: string[]): Promise<Socket> {
    const socket = connect(channel!.address.OUTRIDER_VLLM_SOCKET);
    socket.on("error", () => {});
    sockets.push(socket);
    await once(socket, "connect");
    for (const line of lines) socket.write(line);
    return socket;
  }
  const secret = () => `${channel!.address.OUTRIDER_VLLM_SECRET}\n`;

  it("is in a folder that nobody else may enter, and takes it away", async () => {
    const { address } = await open();
    const folder = dirname(address.OUTRIDER_VLLM_SOCKET);
    expect(statSync(folder).mode & 0o077).toBe(0);
    channel!.close();
    expect(existsSync(folder)).toBe(false);
  });

  it("hears who knows the secret, and is heard", async () => {
    await open();
    const socket = await call(secret(), "one\ntw", "o\n");
    await expect.poll(() => heard).toEqual(["one", "two"]);
    // Nothing is left behind where the service is killed from now on.
    expect(existsSync(dirname(channel!.address.OUTRIDER_VLLM_SOCKET))).toBe(false);
    channel!.send("three", false);
    expect(String((await once(socket, "data"))[0])).toBe("three\n");
    socket.end("four\n");
    await channel!.ended;
    expect(heard).toEqual(["one", "two", "four"]);
  });

  it.each([
    ["another secret", `${"0".repeat(64)}\nx\n`],
    ["no end of a first line", "0".repeat(1000)],
  ])("hangs up on %s, and goes on listening", async (_, said) => {
    await open();
    const stranger = await call(said);
    await once(stranger, "close");
    await call(secret(), "known\n");
    await expect.poll(() => heard).toEqual(["known"]);
  });

  it("lets nobody in after the process", async () => {
    await open();
    await call(secret(), "one\n");
    await expect.poll(() => heard).toEqual(["one"]);
    const second = connect(channel!.address.OUTRIDER_VLLM_SOCKET);
    await once(second, "error");
    expect(heard).toEqual(["one"]);
  });

  it("drops what may be lost once too much waits, and nothing else", async () => {
    await open();
    const socket = await call(secret(), "here\n");
    await expect.poll(() => heard).toEqual(["here"]);
    const line = "x".repeat(1 << 20);
    for (let n = 0; n < 8; n++) channel!.send(line, false);
    channel!.send("hint", true);
    channel!.send("cancel", false);
    let text = "";
    socket.on("data", (bytes) => {
      text += bytes;
    });
    await expect.poll(() => text.length, { timeout: 20_000 }).toBe(8 * (line.length + 1) + "cancel\n".length);
    expect(text.endsWith("cancel\n")).toBe(true);
  });
});
