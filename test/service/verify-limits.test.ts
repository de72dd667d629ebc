/** What the verifier does when it is pushed: too many, too fast, too slow, gone, told to stop. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ensureTinyModel } from "../../infra/models/tiny-model.ts";
import { openDataFolder } from "../../infra/start/paths.ts";
import { LinkClient } from "../support/link-client.ts";
import { startVerifier, type VerifierProcess } from "../support/verifier-process.ts";

let folder: string;
let verifier: VerifierProcess;

beforeAll(async () => {
  folder = await ensureTinyModel(openDataFolder());
  verifier = await startVerifier(folder, { SLOTS: "2", QUEUE_LIMIT: "3" });
});
afterAll(async () => {
  await verifier.stop();
});

const PROMPT = [1, 2, 3, 4, 5];
const metric = async (name: string): Promise<number> => {
  const text = await (await fetch(`http://127.0.0.1:${verifier.port}/metrics`)).text();
  return Number(new RegExp(`^outrider_verify_${name} (\\S+)$`, "m").exec(text)?.[1]);
};
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

describe("a verifier under pressure", () => {
  it("refuses what neither runs nor waits, as overloaded and worth another try", async () => {
    const slow = await startVerifier(folder, { SLOTS: "2", QUEUE_LIMIT: "3" }, 20);
    const client = await LinkClient.connect(slow);
    const runs = Array.from({ length: 9 }, () => client.complete({ prompt: PROMPT, max_tokens: 64 }));
    const ends = (await Promise.all(runs)).map((c) => c.end);
    const refused = ends.filter((e) => e.type === "error");
    expect(refused).toHaveLength(4);
    for (const e of refused) expect(e).toMatchObject({ code: "overloaded", retryable: true });
    for (const e of ends) if (e.type === "done") expect(e.reason).toBe("length");
    client.close();
    await slow.stop();
  });

  it("is not disturbed by a flood of hints: the text is the same and memory stays bounded", async () => {
    const client = await LinkClient.connect(verifier);
    const plain = await client.complete({ prompt: PROMPT, max_tokens: 48, drafts: false });
    const before = await metric("process_resident_memory_bytes");
    const flood = (output: readonly number[]) =>
      Array.from({ length: 400 }, (_, i) => ({
        path: i,
        at: PROMPT.length + output.length,
        ids: Array.from({ length: 64 }, (_, k) => (i * 31 + k) % verifier.vocabSize),
        source: "model" as const,
      }));
    const flooded = await client.complete({ prompt: PROMPT, max_tokens: 48 }, flood);
    expect(flooded.ids).toEqual(plain.ids);
    expect((await metric("process_resident_memory_bytes")) - before).toBeLessThan(100e6);
    client.close();
  });

  it("holds no slot, stream, socket or memory after 2,000 aborted requests", async () => {
    const abort = async (requests: number) => {
      for (let round = 0; round < requests / 20; round++) {
        const client = await LinkClient.connect(verifier);
        const opens = await Promise.all(
          Array.from({ length: 20 }, () => client.openFrame({ prompt: PROMPT, max_tokens: 200 })),
        );
        for (const open of opens) client.send(open);
        if (round % 4 === 0) await pause(5);
        // As a link object does, whose socket stays open.
        if (round % 3 === 0) for (const { stream } of opens) client.send({ type: "cancel", stream });
        if (round % 2 === 0) client.socket.terminate();
        else client.close();
      }
      await expect.poll(() => metric("sockets"), { timeout: 60_000 }).toBe(0);
    };
    await abort(400);
    const before = await metric("process_resident_memory_bytes");
    await abort(1_600);
    expect((await metric("process_resident_memory_bytes")) - before).toBeLessThan(20e6);
    const client = await LinkClient.connect(verifier);
    const { end } = await client.complete({ prompt: PROMPT, max_tokens: 3 });
    expect(end).toMatchObject({ type: "done", reason: "length" });
    expect(await metric("sequences_active")).toBe(0);
    expect(await metric("sequences_queued")).toBe(0);
    client.socket.terminate();
    await expect.poll(() => metric("sockets"), { timeout: 60_000 }).toBe(0);
  });

  it("closes a socket that only sends rubbish", async () => {
    const client = await LinkClient.connect(verifier);
    const code = new Promise((resolve) => client.socket.once("close", resolve));
    for (let i = 0; i < 40; i++) client.send("rubbish");
    expect(await code).toBe(1008);
  });
});

describe("SIGTERM", () => {
  it("lets running completions end, takes no new ones, and exits with 0", async () => {
    const own = await startVerifier(folder, { GRACE_MS: "60000" }, 30);
    const client = await LinkClient.connect(own);
    let stopped: Promise<number | null> | undefined;
    const running = client.complete({ prompt: PROMPT, max_tokens: 100 }, undefined, () => {
      stopped ??= own.stop();
    });
    const readiness = async () => (await fetch(`http://127.0.0.1:${own.port}/readyz`)).status;
    await expect.poll(readiness, { timeout: 60_000 }).toBe(503);
    const late = client.complete({ prompt: PROMPT, max_tokens: 4 });
    const [{ end, ids }, refused] = await Promise.all([running, late]);
    expect(end).toMatchObject({ type: "done", reason: "length" });
    expect(ids).toHaveLength(100);
    expect(refused.end).toMatchObject({ type: "error", code: "overloaded", retryable: true });
    expect(await stopped).toBe(0);
  });

  it("ends what still runs after the grace with an error worth another try", async () => {
    const own = await startVerifier(folder, { GRACE_MS: "0" }, 30);
    const client = await LinkClient.connect(own);
    let stopped: Promise<number | null> | undefined;
    const { end } = await client.complete({ prompt: PROMPT, max_tokens: 200 }, undefined, () => {
      stopped ??= own.stop();
    });
    expect(end).toMatchObject({ type: "error", retryable: true });
    expect(await stopped).toBe(0);
  });
});
