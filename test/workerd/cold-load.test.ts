/** A client that goes away during a cold load does not take it along. */
import { createExecutionContext, waitOnExecutionContext } from "cloudflare:test";
import { expect, it } from "vitest";
import worker from "../../edge/worker.ts";
import { draftObjectKey } from "../../gpu-service/protocol/manifest.ts";
import { ScriptedVerifier } from "../support/scripted-verifier.ts";
import { nextByte, putChannel, putRelease } from "./releases.ts";
import { env, eventually, migrate, newKey, publishTarget, routeLinksTo, TARGET } from "./support.ts";

it("goes on loading for the others when the first client aborts", async () => {
  await migrate();
  await publishTarget();
  const { key } = await newKey();
  routeLinksTo(new ScriptedVerifier({ next: (text) => nextByte(text.at(-1)!), stepMs: 3 }));
  const current = await putRelease("cold");
  await putChannel({ target: TARGET, sequence: 1, current, canary: null, previous: null });

  let reads = 0;
  let open = () => {};
  const gate = new Promise<void>((resolve) => {
    open = resolve;
  });
  const bucket = {
    async get(name: string) {
      if (name === draftObjectKey("cold", "model.draft")) {
        reads++;
        await gate;
      }
      return env.RELEASES.get(name);
    },
  };
  const complete = (signal?: AbortSignal) => {
    const request = new Request("http://outrider.test/v1/completions", {
      method: "POST",
      headers: { authorization: `Bearer ${key}`, "x-outrider-details": "1" },
      body: JSON.stringify({ model: TARGET, prompt: [1, 2, 3], max_tokens: 40, temperature: 0 }),
      ...(signal && { signal }),
    });
    const context = createExecutionContext();
    return {
      context,
      response: Promise.resolve(worker.fetch(request, { ...env, RELEASES: bucket }, context)),
    };
  };

  const client = new AbortController();
  const first = complete(client.signal);
  const gone = first.response.then((response) => response.text()).catch(() => "aborted");
  const second = complete();
  await eventually(() => expect(reads).toBe(1));
  client.abort();
  open();
  // Returns when what the first request put under waitUntil has ended.
  await waitOnExecutionContext(first.context);
  await gone;
  expect((await second.response).status).toBe(200);
  const later = (await (await complete().response).json()) as { outrider: { release: string | null } };
  expect(later.outrider.release).toBe("cold");
  // Once for the memory, once for the cache.
  expect(reads).toBe(2);
});
