import { afterEach, beforeAll, beforeEach, expect, it, vi } from "vitest";
import { VOCABULARY } from "../support/byte-tokenizer.ts";
import { oracleDraft } from "../support/oracle-draft.ts";
import { ScriptedVerifier } from "../support/scripted-verifier.ts";
import { nextByte, nextId, putChannel, putRelease, type ReleaseChanges } from "./releases.ts";
import { call, eventually, migrate, newKey, publishTarget, routeLinksTo, TARGET } from "./support.ts";

let key: string;
let now: number;
let sequence = 0;
let verifier: ScriptedVerifier;

beforeAll(async () => {
  await migrate();
  await publishTarget();
  ({ key } = await newKey());
  now = Date.now();
});
beforeEach(() => {
  verifier = new ScriptedVerifier({ next: (text) => nextByte(text.at(-1)!), stepMs: 3 });
  routeLinksTo(verifier);
  // Each test is a while after the one before: the isolate looks at the channel again.
  now += 120_000;
  vi.spyOn(Date, "now").mockImplementation(() => now);
});
afterEach(() => {
  vi.restoreAllMocks();
});

/** Publishes a release and makes it the channel's current one. */
async function publish(id: string, changes: ReleaseChanges = {}): Promise<void> {
  const current = await putRelease(id, changes);
  const record = { target: TARGET, sequence: sequence + 1, current, canary: null, previous: null };
  expect((await putChannel(record)).status).toBe(200);
  sequence++;
}

type Details = {
  release: string | null;
  note: string | null;
  accepted: Record<string, number>;
  steps: number;
};
async function complete(): Promise<{ outrider: Details; ids: number[] }> {
  const prompt = [1, 2, 3];
  const response = await call("/v1/completions", {
    key,
    // Without what is remembered of the request before: it would leave nothing to draft.
    headers: { "x-outrider-details": "1", "cache-control": "no-store" },
    body: { model: TARGET, prompt, max_tokens: 60, temperature: 0, logprobs: 0 },
  });
  expect(response.status).toBe(200);
  const body = (await response.json()) as { usage: { completion_tokens: number }; outrider: Details };
  expect(body.usage.completion_tokens).toBe(60);
  return body as never;
}

/** Completes until the isolate has looked at the channel and come to this conclusion. */
const until = (wanted: Partial<Details> | object) =>
  eventually(async () => {
    const { outrider } = await complete();
    expect(outrider).toMatchObject(wanted);
    return outrider;
  });

it("goes on without a release", async () => {
  const { release, note, accepted } = await until({ note: expect.stringContaining("names no release") });
  expect({ release, accepted }).toEqual({ release: null, accepted: {} });
  expect(note).toContain(TARGET);
});

it("takes the channel's release up and drafts with its model", async () => {
  await publish("oracle-1");
  const { steps, accepted } = await until({ release: "oracle-1", note: null });
  expect(accepted.model).toBeGreaterThan(20);
  expect(steps).toBeLessThan(40);
  expect(verifier.opens.at(-1)!.release).toBe("oracle-1");
});

it("swaps to the next release without a restart", async () => {
  await publish("oracle-2");
  const { accepted } = await until({ release: "oracle-2" });
  expect(accepted.model).toBeGreaterThan(20);
});

const BROKEN: [string, ReleaseChanges, RegExp][] = [
  ["weights that do not match their digest", { image: flipped() }, /sha256/],
  ["weights that are cut short", { image: oracleDraft(VOCABULARY, nextId).slice(0, 4096) }, /4096|bytes/],
  ["a manifest for another target", { manifest: { target: "another" } }, /not made for/],
  ["a manifest for another tokenizer", { manifest: { tokenizer_sha256: "0".repeat(64) } }, /not made for/],
  [
    "a manifest that was changed after signing",
    { payload: (text) => text.replace("int8", "int4") },
    /signature/,
  ],
];
for (const [index, [name, changes, reason]] of BROKEN.entries()) {
  it(`keeps the release before ${name}`, async () => {
    const errors = vi.spyOn(console, "warn").mockImplementation(() => undefined);
    await publish(`broken-${index}`, changes);
    await eventually(async () => {
      expect((await complete()).outrider.release).toBe("oracle-2");
      expect(errors.mock.calls.flat().join("\n")).toMatch(reason);
    });
  });
}

function flipped(): Uint8Array {
  const image = oracleDraft(VOCABULARY, nextId);
  image[image.length - 100]! ^= 1;
  return image;
}
