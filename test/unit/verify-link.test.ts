import { describe, expect, it } from "vitest";
import { type OpenFrame, PROTOCOL_VERSION } from "../../gpu-service/protocol/frames.ts";
import { signToken } from "../../gpu-service/protocol/token.ts";
import { offerOf, type Versions } from "../../gpu-service/protocol/versions.ts";
import { readConfig } from "../../gpu-service/verify/config.ts";
import { admitOpen, type Gate } from "../../gpu-service/verify/link/handshake.ts";
import { NonceWindow } from "../../gpu-service/verify/link/nonces.ts";
import { GREEDY } from "../support/sequences.ts";

const SECRET = "x".repeat(32);
const NEW_SECRET = "y".repeat(32);
const NOW = 1_000_000;

describe("configuration", () => {
  const good = { TARGET_DIR: "/t", LINK_KEYS: JSON.stringify([{ id: "k", secret: SECRET }]) };
  it("has a value for all that may be left out", () => {
    expect(readConfig(good)).toMatchObject({
      host: "127.0.0.1",
      port: 8788,
      format: "w8a8",
      slots: 4,
      threads: 1,
    });
  });
  it("is frozen", () => expect(Object.isFrozen(readConfig(good))).toBe(true));
  it("names every bad key at once, and no secret", () => {
    const bad = {
      ...{ VERIFY_HOST: "0.0.0.0", VERIFY_PORT: "", SLOTS: "9", GRACE_MS: "1e3" },
      LINK_KEYS: '[{"id":"k","secret":"short-secret"}]',
    };
    const read = () => readConfig(bad);
    for (const key of [...Object.keys(bad), "TARGET_DIR"]) expect(read).toThrow(`  ${key}`);
    expect(read).not.toThrow("short-secret");
  });
  it("refuses two link keys of one id: the second would never be tried", () => {
    const keys = [SECRET, NEW_SECRET].map((secret) => ({ id: "k", secret }));
    expect(() => readConfig({ ...good, LINK_KEYS: JSON.stringify(keys) })).toThrow("LINK_KEYS: two keys");
  });
  it("keeps plain ws on loopback unless told", () => {
    expect(() => readConfig({ ...good, VERIFY_HOST: "0.0.0.0" })).toThrow("VERIFY_HOST: is not loopback");
    expect(readConfig({ ...good, VERIFY_HOST: "0.0.0.0", VERIFY_ALLOW_PLAIN: "1" }).host).toBe("0.0.0.0");
  });
});

describe("nonces", () => {
  it("are good once, until they expire", () => {
    const window = new NonceWindow(2);
    expect(window.take("a", NOW + 10, NOW)).toBe("fresh");
    expect(window.take("a", NOW + 10, NOW)).toBe("replayed");
    expect(window.take("b", NOW + 90, NOW)).toBe("fresh");
    expect(window.take("c", NOW + 10, NOW)).toBe("full");
    expect(window.take("c", NOW + 90, NOW + 11)).toBe("fresh");
    expect(window.take("b", NOW + 90, NOW + 11)).toBe("replayed");
  });
});

describe("the handshake", () => {
  const info = { target: "m", tokenizer: "a".repeat(64), numerics: "n", vocabSize: 10, context: 100 };
  const gate = (): Gate => ({
    info,
    keys: [
      { id: "old", secret: SECRET },
      { id: "new", secret: NEW_SECRET },
    ],
    nonces: new NonceWindow(10),
    since: NOW - 10,
    nowSeconds: () => NOW,
  });
  const token = (change: object = {}, secret = SECRET) => {
    const claims = { aud: "m", kid: "old", tenant: "t", nonce: "n".repeat(16), iat: NOW, exp: NOW + 30 };
    return signToken({ ...claims, ...change }, secret);
  };
  const open = (token: string, change: Partial<OpenFrame> = {}): OpenFrame => ({
    type: "open",
    stream: 1,
    protocol: PROTOCOL_VERSION,
    target: "m",
    tokenizer: info.tokenizer,
    prompt: [1],
    sampling: GREEDY,
    max_tokens: 1,
    stop_ids: [],
    drafts: true,
    tenant: "t",
    token,
    ...change,
  });

  it("lets a good open in, without its token", async () => {
    const admitted = await admitOpen(open(await token()), gate());
    expect(admitted.ok && "token" in admitted.start).toBe(false);
    expect(admitted).toMatchObject({ ok: true, start: { type: "start", prompt: [1] } });
  });
  it("accepts either of two keys", async () => {
    expect((await admitOpen(open(await token({ kid: "new" }, NEW_SECRET)), gate())).ok).toBe(true);
  });
  it("refuses a key's id with another key's secret", async () => {
    const admitted = await admitOpen(open(await token({ kid: "new" }, SECRET)), gate());
    expect(admitted).toMatchObject({
      refusal: { code: "unauthorized", message: expect.stringContaining("wrong mac") },
    });
  });
  it.each([
    [{ aud: "other" }, "for another target"],
    [{ tenant: "u" }, "or tenant"],
    [{ iat: NOW - 9, exp: NOW - 1 }, "expired"],
    [{ exp: NOW - 1 }, "not of the form"],
    [{ nonce: "n".repeat(15) }, "not of the form"],
    [{ exp: NOW + 3600 }, "lives longer"],
    [{ kid: "none" }, "unknown key id"],
  ])("refuses a token with %o", async (change, words) => {
    const admitted = await admitOpen(open(await token(change)), gate());
    expect(admitted).toMatchObject({ ok: false, refusal: { message: expect.stringContaining(words) } });
  });
  it("refuses a token of which any part is another's, or missing", async () => {
    const parts = (await token()).split(".");
    const others = [
      "v1",
      String(NOW - 1),
      "29",
      "m".repeat(16),
      parts[4]!.replace(/^./, (c) => (c === "A" ? "B" : "A")),
      "new",
    ];
    for (const [n, other] of others.entries()) {
      for (const changed of [parts.with(n, other), parts.toSpliced(n, 1)]) {
        const admitted = await admitOpen(open(changed.join(".")), gate());
        expect([n, admitted]).toMatchObject([n, { ok: false, refusal: { code: "unauthorized" } }]);
      }
    }
  });
  it("takes any key id that is configured", async () => {
    const odd = { id: "a.b/ü 1", secret: SECRET };
    const admitted = await admitOpen(open(await token({ kid: odd.id })), { ...gate(), keys: [odd] });
    expect(admitted.ok).toBe(true);
  });
  it("refuses a token of the time before it started, whose nonces it does not know", async () => {
    const early = await admitOpen(open(await token({ iat: NOW - 11 })), gate());
    expect(early).toMatchObject({ refusal: { code: "unauthorized", retryable: true } });
    expect((await admitOpen(open(await token({ iat: NOW - 10 })), gate())).ok).toBe(true);
  });
  /** What the edge of another time offers, and what is made of it by a verifier that speaks 2 and 3. */
  it.each<[string, Versions, number | string]>([
    ["of the same time", { oldest: 2, newest: 3 }, 3],
    ["that has not been upgraded yet", { oldest: 2, newest: 2 }, 2],
    ["one upgrade ahead", { oldest: 3, newest: 4 }, 3],
    ["two upgrades ahead", { oldest: 4, newest: 5 }, "protocol: 4 to 5 is not spoken here, only 2 to 3"],
    ["two upgrades behind", { oldest: 1, newest: 1 }, "protocol: 1 is not spoken here, only 2 to 3"],
  ])("agrees on a version with an edge %s", async (_name, versions, outcome) => {
    const spoken = { oldest: 2, newest: 3 };
    const admitted = await admitOpen(open(await token(), offerOf(versions)), { ...gate(), spoken });
    const wanted =
      typeof outcome === "number"
        ? { ok: true, protocol: outcome }
        : { refusal: { code: "unsupported_protocol", message: outcome, retryable: false } };
    expect(admitted).toMatchObject(wanted);
  });
  it("says nothing of versions where there is one only", () => {
    expect(offerOf()).toEqual({ protocol: PROTOCOL_VERSION });
  });
  it("does not spend the nonce of an open that it refuses for its version", async () => {
    const g = gate();
    const used = await token();
    expect((await admitOpen(open(used, { protocol: 9 }), g)).ok).toBe(false);
    expect((await admitOpen(open(used), g)).ok).toBe(true);
    expect((await admitOpen(open(used), g)).ok).toBe(false);
  });
});
