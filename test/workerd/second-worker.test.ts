/** A canary that does not fit beside the current release: a second Worker serves its share, as long as there is one. */
import { createExecutionContext } from "cloudflare:test";
import { afterEach, beforeAll, beforeEach, expect, it, vi } from "vitest";
import kernel from "../../edge/drafting/kernel/build/draft.wasm";
import { DraftMemory, digestStreamHasher, loadDraft } from "../../edge/drafting/model/index.ts";
import { isDrawn } from "../../edge/releases/share.ts";
import second from "../../edge/worker.ts?second";
import { sha256Hex } from "../../gpu-service/protocol/manifest.ts";
import { statisticsSchema } from "../../gpu-service/protocol/statistics.ts";
import { VOCABULARY } from "../support/byte-tokenizer.ts";
import { oracleDraft } from "../support/oracle-draft.ts";
import { ScriptedVerifier } from "../support/scripted-verifier.ts";
import { nextByte, nextId, putChannel, putRelease } from "./releases.ts";
import {
  ADMIN_SECRET,
  call,
  env,
  eventually,
  migrate,
  newKey,
  publishTarget,
  routeLinksTo,
  TARGET,
} from "./support.ts";

const CANARY = { release: "two", share: 0.5 };
const drawn = Array.from({ length: 100 }, (_, n) => `req_${n}`).filter((id) => isDrawn(id, CANARY));
const others = Array.from({ length: 100 }, (_, n) => `req_${n}`).filter((id) => !isDrawn(id, CANARY));

let key: string;
let passedOn: string[] = [];
let warnings: string[] = [];
let now = Date.now();
let sequence = 0;
/** Linear memory that holds one of the releases and not two. */
let roomBytes = 0;

beforeAll(async () => {
  await migrate();
  await publishTarget();
  roomBytes = await roomForOne();
  const passed = (request: Request) => {
    passedOn.push(request.headers.get("x-request-id") ?? "");
    return fetchSecond(request);
  };
  // The isolate reads its configuration at the first request.
  Object.assign(env, { CANARY: { fetch: passed }, DRAFT_MEMORY_BYTES: String(roomBytes) });
  ({ key } = await newKey());
});
const fetchSecond = (request: Request): Promise<Response> =>
  Promise.resolve(second.fetch(request, { ...env, SERVES: "canary" }, createExecutionContext()));
beforeEach(() => {
  passedOn = [];
  warnings = [];
  vi.spyOn(console, "warn").mockImplementation((line) => warnings.push(line));
  vi.spyOn(console, "log").mockImplementation(() => undefined);
  routeLinksTo(new ScriptedVerifier({ next: (text) => nextByte(text.at(-1)!), stepMs: 3 }));
  now += 120_000;
  vi.spyOn(Date, "now").mockImplementation(() => now);
});
afterEach(() => vi.restoreAllMocks());

async function roomForOne(): Promise<number> {
  const image = Uint8Array.from(oracleDraft(VOCABULARY, nextId));
  const memory = new DraftMemory(kernel, 64e6);
  const file = { bytes: image.length, sha256: await sha256Hex(image) };
  const loaded = await loadDraft(memory, new Response(image).body!, file, digestStreamHasher);
  expect(loaded.ok).toBe(true);
  return memory.bytes + 65536;
}

async function move(canary: { release: string; share: number } | null): Promise<void> {
  const response = await putChannel({
    target: TARGET,
    sequence: ++sequence,
    current: await putRelease("one"),
    canary: canary && { ...(await putRelease(canary.release)), share: canary.share },
    previous: null,
  });
  expect(response.status).toBe(200);
  now += 10_000;
}

async function complete(id: string, stream = false) {
  const response = await call("/v1/completions", {
    key,
    headers: { "x-outrider-details": "1", "cache-control": "no-store", "x-request-id": id },
    body: { model: TARGET, prompt: [1, 2, 3], max_tokens: 60, temperature: 0, stream },
  });
  expect([response.status, response.headers.get("x-request-id")]).toEqual([200, id]);
  const text = await response.text();
  return JSON.parse(stream ? text.split("\n\n").at(-3)!.slice("data: ".length) : text) as {
    outrider: { release: string | null; note: string | null; accepted: Record<string, number> };
  };
}

it("passes a canary's requests on once it has seen that the canary does not fit", async () => {
  await move(CANARY);
  await eventually(async () => {
    now += 10_000;
    const { outrider } = await complete(drawn[0]!);
    expect(outrider).toMatchObject({ release: "two", note: null });
  });
  expect(new Set(passedOn)).toEqual(new Set([drawn[0]]));
  const streamed = await complete(drawn[1]!, true);
  expect(streamed.outrider).toMatchObject({ release: "two" });
  expect(streamed.outrider.accepted.model).toBeGreaterThan(20);
  const before = passedOn.length;
  expect((await complete(others[0]!)).outrider.release).toBe("one");
  expect(passedOn).toHaveLength(before);
});

it("refuses a wrong key there too, and counts what it serves for the canary", async () => {
  const headers = { "x-request-id": drawn[2]! };
  const refused = await call("/v1/completions", { key: "sk-wrong", headers, body: { model: TARGET } });
  expect(refused.status).toBe(401);
  await eventually(async () => {
    const { data } = statisticsSchema.parse(
      await (await call(`/admin/statistics/${TARGET}`, { key: ADMIN_SECRET })).json(),
    );
    expect(data.find(({ release, source }) => release === "two" && source === "model")).toMatchObject({
      arm: "canary",
    });
  });
});

it.each<[string, () => Promise<Response>]>([
  ["is not there", () => Promise.reject(new Error("no such service"))],
  ["fails", async () => new Response("broken", { status: 500 })],
])("serves the share itself where the second Worker %s", async (_, fetch) => {
  const { CANARY: working } = env;
  Object.assign(env, { CANARY: { fetch } });
  const { outrider } = await complete(drawn[3]!);
  expect(outrider).toMatchObject({ release: "one", note: expect.stringContaining("canary two") });
  expect(warnings.join()).toContain("the canary's Worker does not serve");
  Object.assign(env, { CANARY: working });
});

it("passes nothing on after the canary has ended", async () => {
  await move(null);
  await eventually(async () => {
    now += 10_000;
    await complete(drawn[4]!);
    const before = passedOn.length;
    expect((await complete(drawn[5]!)).outrider.release).toBe("one");
    expect(passedOn).toHaveLength(before);
  });
  // Nor does the second Worker hold on to the canary.
  await eventually(async () => {
    now += 10_000;
    const request = new Request("http://outrider.test/v1/completions", {
      method: "POST",
      headers: { authorization: `Bearer ${key}`, "x-outrider-details": "1" },
      body: JSON.stringify({ model: TARGET, prompt: [1, 2, 3], max_tokens: 8 }),
    });
    expect(await (await fetchSecond(request)).json()).toMatchObject({ outrider: { release: "one" } });
  });
});
