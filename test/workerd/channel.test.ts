/// <reference types="@cloudflare/vitest-plugin/types" />
import { env, runInDurableObject } from "cloudflare:test";
import { beforeAll, expect, test } from "vitest";
import type { Channel, ChannelPutResult } from "../../edge/releases/channel.ts";
import { type ChannelHandle, channelRoutes } from "../../edge/releases/channel-routes.ts";
import {
  type ChannelRecord,
  type Envelope,
  sealEnvelope,
  type TrustedKey,
} from "../../gpu-service/protocol/manifest.ts";
import { toBase64Url } from "../../gpu-service/protocol/token.ts";

const ADMIN_SECRET = "an admin secret for tests";
const NOW = Date.UTC(2026, 0, 1);
type Signer = TrustedKey & { seal(record: unknown): Promise<Envelope> };
let oldKey: Signer;
let newKey: Signer;
let foreignKey: Signer;

beforeAll(async () => {
  [oldKey, newKey, foreignKey] = await Promise.all([
    makeSigner("old"),
    makeSigner("new"),
    makeSigner("foreign"),
  ]);
});

async function makeSigner(id: string): Promise<Signer> {
  const pair = (await crypto.subtle.generateKey("Ed25519", true, ["sign", "verify"])) as CryptoKeyPair;
  const raw = (await crypto.subtle.exportKey("raw", pair.publicKey)) as ArrayBuffer;
  return {
    id,
    public_key: toBase64Url(new Uint8Array(raw)),
    seal: (record) => sealEnvelope("channel", JSON.stringify(record), id, pair.privateKey),
  };
}

const stubOf = (target: string) =>
  (env as unknown as { CHANNELS: DurableObjectNamespace<Channel> }).CHANNELS.getByName(target);
const recordOf = (target: string, sequence: number, release = `draft-${sequence}`): ChannelRecord => ({
  target,
  sequence,
  current: { release, manifest_sha256: "0".repeat(64) },
  canary: null,
  previous: null,
});

function channel(target: string, trusted: readonly TrustedKey[] = [oldKey]) {
  const stub = stubOf(target);
  return {
    stub,
    async put(record: ChannelRecord, expected: number, signer = oldKey): Promise<ChannelPutResult> {
      return stub.put({ target, envelope: await signer.seal(record), expected, trusted, now: NOW });
    },
    current: async () => (await stub.state())?.sequence ?? 0,
  };
}

test("a channel begins empty and takes its first record", async () => {
  const { stub, put } = channel("first");
  expect(await stub.current()).toBeNull();
  expect(await put(recordOf("first", 1), 0)).toEqual({ kind: "stored", sequence: 1 });
  expect(JSON.parse((await stub.current())!.payload)).toEqual(recordOf("first", 1));
});

test("of many writers with the same expectation exactly one wins", async () => {
  const { put, current } = channel("race");
  const results = await Promise.all(
    [1, 2, 3, 4, 5, 6, 7, 8].map((n) => put(recordOf("race", 1, `rival-${n}`), 0)),
  );
  expect(results.filter((result) => result.kind === "stored")).toHaveLength(1);
  expect(results.filter((result) => result.kind === "changed")).toHaveLength(7);
  expect(await current()).toBe(1);
});

test("an old record cannot be played back, and the same sequence not used twice", async () => {
  const { put, stub } = channel("replay");
  const first = recordOf("replay", 1);
  await put(first, 0);
  await put(recordOf("replay", 2), 1);
  expect(await put(first, 2)).toMatchObject({ kind: "replayed" });
  expect(await put(recordOf("replay", 2, "other"), 2)).toMatchObject({ kind: "replayed" });
  expect(await put(recordOf("replay", 7), 2)).toEqual({ kind: "stored", sequence: 7 });
  expect((await stub.history()).map((entry) => [entry.sequence, entry.release, entry.key_id])).toEqual([
    [7, "draft-7", "old"],
    [2, "draft-2", "old"],
    [1, "draft-1", "old"],
  ]);
});

test("untrusted, forged and misdirected records are refused and change nothing", async () => {
  const { put, stub, current } = channel("guarded");
  expect(await put(recordOf("guarded", 1), 0, foreignKey)).toMatchObject({ kind: "untrusted" });
  const forged = await oldKey.seal(recordOf("guarded", 1));
  const payload = forged.payload.replace("draft-1", "draft-x");
  const put2 = { target: "guarded", expected: 0, trusted: [oldKey].map(publicPart), now: NOW };
  expect(await stub.put({ ...put2, envelope: { ...forged, payload } })).toMatchObject({ kind: "untrusted" });
  const manifest = { ...forged, payload: JSON.stringify({ kind: "draft" }) };
  expect(await stub.put({ ...put2, envelope: manifest })).toMatchObject({ kind: "untrusted" });
  expect(await put(recordOf("another", 1), 0)).toMatchObject({ kind: "invalid" });
  expect(await put({ ...recordOf("guarded", 1), sequence: 0 }, 0)).toMatchObject({ kind: "invalid" });
  expect(await current()).toBe(0);
});

test("while a key is rotated both keys are taken; a revoked one no longer", async () => {
  const both = channel("rotation", [oldKey, newKey].map(publicPart));
  expect(await both.put(recordOf("rotation", 1), 0, oldKey)).toMatchObject({ kind: "stored" });
  expect(await both.put(recordOf("rotation", 2), 1, newKey)).toMatchObject({ kind: "stored" });
  const revoked = channel("rotation", [publicPart(newKey)]);
  expect(await revoked.put(recordOf("rotation", 3), 2, oldKey)).toMatchObject({ kind: "untrusted" });
  expect(await revoked.put(recordOf("rotation", 3), 2, newKey)).toMatchObject({ kind: "stored" });
});

test("records are on disk: a new instance of the object has them", async () => {
  const { put, stub } = channel("durable");
  await put(recordOf("durable", 1), 0);
  const rows = await runInDurableObject(stub, (_object, state) =>
    state.storage.sql.exec("SELECT sequence FROM records").toArray(),
  );
  expect(rows).toEqual([{ sequence: 1 }]);
});

const publicPart = ({ id, public_key }: TrustedKey): TrustedKey => ({ id, public_key });

function routes() {
  const app = channelRoutes({
    channel: (target) => stubOf(target) as unknown as ChannelHandle,
    adminSecret: ADMIN_SECRET,
    trusted: [publicPart(oldKey)],
    now: () => NOW,
  });
  return (path: string, init: { method?: string; ifMatch?: string; body?: unknown; secret?: string } = {}) =>
    app.request(path, {
      method: init.method ?? "GET",
      headers: {
        authorization: `Bearer ${init.secret ?? ADMIN_SECRET}`,
        ...(init.ifMatch !== undefined && { "if-match": init.ifMatch }),
      },
      ...(init.body !== undefined && { body: JSON.stringify(init.body) }),
    });
}

test("over HTTP: read, write, and every refusal has its status", async () => {
  const request = routes();
  expect((await request("/web", { secret: "wrong" })).status).toBe(401);
  expect((await request("/web")).status).toBe(404);
  const put = async (record: ChannelRecord, ifMatch: string | undefined, signer = oldKey) =>
    request("/web", {
      method: "PUT",
      body: await signer.seal(record),
      ...(ifMatch !== undefined && { ifMatch }),
    });
  expect((await put(recordOf("web", 1), undefined)).status).toBe(428);
  expect((await put(recordOf("web", 1), '"0"')).status).toBe(200);
  const read = await request("/web");
  expect([read.status, read.headers.get("etag")]).toEqual([200, '"1"']);
  expect(await read.json()).toMatchObject({ key_id: "old" });
  expect((await put(recordOf("web", 2), '"0"')).status).toBe(412);
  expect((await put(recordOf("web", 1), '"1"')).status).toBe(409);
  expect((await put(recordOf("web", 2), '"1"', foreignKey)).status).toBe(403);
  expect((await put(recordOf("other", 2), '"1"')).status).toBe(400);
  expect((await request("/web", { method: "PUT", ifMatch: '"1"', body: { no: "envelope" } })).status).toBe(
    400,
  );
  const history = await (await request("/web/history")).json();
  expect(history).toEqual({
    data: [{ sequence: 1, release: "draft-1", canary: null, key_id: "old", at: new Date(NOW).toISOString() }],
  });
});
