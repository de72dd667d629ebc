/** The verifier's link and its doors. What any engine behind it must do: `support/engine-suite.ts`. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { MAX_FRAME_BYTES, PROTOCOL_VERSION } from "../../gpu-service/protocol/frames.ts";
import { ensureTinyModel } from "../../infra/models/tiny-model.ts";
import { openDataFolder } from "../../infra/start/paths.ts";
import { atOnce } from "../support/hinters.ts";
import { type Ask, LinkClient } from "../support/link-client.ts";
import { GREEDY } from "../support/sequences.ts";
import { startVerifier, type VerifierProcess } from "../support/verifier-process.ts";

/** Time enough for a hint to arrive. */
const STEP_MS = 3;

let verifier: VerifierProcess;
let client: LinkClient;

beforeAll(async () => {
  verifier = await startVerifier(await ensureTinyModel(openDataFolder()), { SLOTS: "4" }, STEP_MS);
  client = await LinkClient.connect(verifier);
});
afterAll(async () => {
  client.close();
  expect(await verifier.stop()).toBe(0);
});

const prompt = (n: number, length = 24): number[] =>
  Array.from({ length }, (_, i) => (i * 37 + n * 101 + ((i * n) % 7) * 11) % verifier.vocabSize);
const sampled = (n: number): Ask => ({
  prompt: prompt(n),
  sampling: { ...GREEDY, temperature: 0.8, seed: String(n * 7 + 1) },
});
const PATIENT = { timeout: 30_000 };
const metric = async (name: string, of = verifier): Promise<number> => {
  const text = await (await fetch(`http://127.0.0.1:${of.port}/metrics`)).text();
  return Number(new RegExp(`^outrider_verify_${name} (\\S+)$`, "m").exec(text)?.[1]);
};

describe("the link", () => {
  it("serves an edge one upgrade ahead, which still speaks this version and is told so", async () => {
    const [mine, theirs] = [PROTOCOL_VERSION, PROTOCOL_VERSION + 1];
    const plain = await client.complete(sampled(1));
    const newer = await client.complete({ ...sampled(1), protocol: theirs, oldest_protocol: mine });
    expect(newer.ids).toEqual(plain.ids);
    expect(newer.frames[0]).toMatchObject({ type: "opened", protocol: mine });
    expect(plain.frames[0]).not.toHaveProperty("protocol");
  });

  it("ends a socket that falls silent", async () => {
    const own = await startVerifier(await ensureTinyModel(openDataFolder()), { LEASE_MS: "1000" });
    const silent = await LinkClient.connect(own);
    silent.socket.pause();
    await expect.poll(() => metric("sockets", own), PATIENT).toBe(1);
    await expect.poll(() => metric("sockets", own), PATIENT).toBe(0);
    silent.socket.terminate();
    expect(await own.stop()).toBe(0);
  });
});

describe("what is wrong is said by name", () => {
  const refusal = async (change: Record<string, unknown>) => {
    const open = { ...(await client.openFrame({ prompt: [1, 2] })), ...change };
    const answer = client.next(open.stream as number);
    client.send(open);
    return answer;
  };
  const cases: [string, () => Promise<Record<string, unknown>> | Record<string, unknown>, object][] = [
    ["another version", () => ({ protocol: 1 }), { code: "unsupported_protocol" }],
    ["another target", () => ({ target: "other" }), { code: "unknown_target" }],
    ["another tokenizer", () => ({ tokenizer: "0".repeat(64) }), { code: "tokenizer_mismatch" }],
    ["no token", () => ({ token: "x" }), { code: "unauthorized" }],
    ["a token of another tenant", async () => ({ token: await client.token("u") }), { code: "unauthorized" }],
    ["an old token", async () => ({ token: await client.token("t", { exp: 1 }) }), { code: "unauthorized" }],
    [
      "a token of an unknown key",
      async () => ({ token: await client.token("t", { kid: "?" }) }),
      { code: "unauthorized" },
    ],
    ["unknown ids", () => ({ prompt: [1, 0xff_ffff] }), { code: "invalid_request", message: /prompt\.1/ }],
    ["a long prompt", () => ({ prompt: Array(32_000).fill(1) }), { code: "context_too_long" }],
    ["other numerics", () => ({ confirmed: [1], numerics: "x" }), { code: "numerics_mismatch" }],
    ["a wrong field", () => ({ max_tokens: -1 }), { code: "bad_frame", message: /max_tokens/ }],
    ["an unknown type", () => ({ type: "opn" }), { code: "bad_frame" }],
  ];
  for (const [name, change, expected] of cases) {
    it(name, async () => {
      const frame = await refusal(await change());
      expect(frame).toMatchObject({ type: "error" });
      for (const [key, value] of Object.entries(expected)) {
        if (value instanceof RegExp) expect((frame as never)[key]).toMatch(value);
        else expect((frame as never)[key]).toBe(value);
      }
    });
  }

  it("a token used twice", async () => {
    const token = await client.token();
    expect((await client.complete({ prompt: [1], max_tokens: 1, token })).end.type).toBe("done");
    expect((await client.complete({ prompt: [1], max_tokens: 1, token })).end).toMatchObject({
      code: "unauthorized",
      message: "token: used before",
    });
  });

  it("a frame that is not JSON is answered on stream 0, and the link goes on", async () => {
    const answer = client.next(0);
    client.send("{");
    expect(await answer).toMatchObject({ type: "error", stream: 0, code: "bad_frame" });
    expect((await client.complete({ prompt: [1], max_tokens: 1 })).end.type).toBe("done");
  });

  it("a frame over the size limit closes the socket", async () => {
    const other = await LinkClient.connect(verifier);
    const code = new Promise((resolve) => other.socket.once("close", resolve));
    other.send("x".repeat(MAX_FRAME_BYTES + 1));
    expect(await code).toBe(1009);
  });

  it("another path than /link is not upgraded", async () => {
    const socket = new WebSocket(`ws://127.0.0.1:${verifier.port}/other`);
    const error = await new Promise<Error>((resolve) => socket.once("error", resolve));
    expect(error.message).toContain("404");
  });
});

describe("for operators", () => {
  it("health, readiness, metrics", async () => {
    const { ids } = await client.complete({ ...sampled(2), drafts: false });
    await client.complete(sampled(2), atOnce(24, ids));
    const get = (path: string) => fetch(`http://127.0.0.1:${verifier.port}${path}`);
    expect((await get("/healthz")).status).toBe(200);
    expect(await (await get("/readyz")).text()).toBe("ready\n");
    expect(await metric("steps_total")).toBeGreaterThan(0);
    expect(await metric('accepted_total\\{source="memory"\\}')).toBeGreaterThan(0);
    expect((await get("/nothing")).status).toBe(404);
  });

  it("a folder that is no target is refused by name", async () => {
    await expect(startVerifier("/nonexistent")).rejects.toThrow("manifest.json: cannot be read");
  });
});
