/** Events of jobs: none lost, none out of turn, whatever the worker answers and whoever is killed. */
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import {
  isSignedJobEvent,
  JOB_EVENT_SIGNATURE,
  type JobEvent,
  jobEventSchema,
  signJobEvent,
} from "../../gpu-service/protocol/job-events.ts";
import { Outbox } from "../../gpu-service/training/events/outbox.ts";
import { EventSender } from "../../gpu-service/training/events/sender.ts";
import { JobStore } from "../../gpu-service/training/jobs/store.ts";
import { jobEntry } from "../support/training.ts";
import { temporaryFolder } from "../support/training-folder.ts";

const TOKEN = "a token of more than thirty-two bytes";
const open: EventSender[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((sender) => sender.close()));
});

function setUp() {
  const path = join(temporaryFolder(), "jobs.sqlite");
  const outboxOf = () => new Outbox(path);
  return { store: new JobStore(path), outbox: outboxOf(), outboxOf };
}

/** A worker that answers with these statuses in turn, then 204; null: no answer at all. */
function startSender(outbox: Outbox, answers: (number | null)[] = []) {
  const taken: JobEvent[] = [];
  const seen: { body: string; signature: string }[] = [];
  let clockMs = Date.now();
  const sender = new EventSender({
    outbox,
    edgeUrl: "http://edge",
    token: TOKEN,
    // Waiting costs no time here: the next look is beyond any wait.
    now: () => (clockMs += 120_000),
    log: { warn: () => {}, error: (fields) => expect.fail(JSON.stringify(fields)) },
    fetch: async (url, init) => {
      expect(String(url)).toBe("http://edge/admin/retraining/events");
      const body = String(init?.body);
      seen.push({ body, signature: new Headers(init?.headers).get(JOB_EVENT_SIGNATURE) ?? "" });
      const status = answers.length ? answers.shift()! : 204;
      if (status === null) throw new TypeError("fetch failed");
      if (status < 300) taken.push(jobEventSchema.parse(JSON.parse(body)));
      return new Response(null, { status });
    },
  });
  open.push(sender);
  sender.start();
  return { taken, seen, sender };
}

async function until(holds: () => boolean): Promise<void> {
  for (let waited = 0; !holds(); waited += 10) {
    if (waited > 20_000) throw new Error("waited in vain");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

test("every change of a job's state is told once, in order, signed", async () => {
  const { store, outbox } = setUp();
  store.add(jobEntry("a"));
  store.add(jobEntry("b"));
  store.claim("me");
  store.setProgress("a", { stage: "distil", step: 1, steps: 2 });
  store.requeue("a", false);
  store.claim("me");
  store.finish("a", "failed", "because");
  store.requestCancel("b");
  const { taken, seen } = startSender(outbox);
  await until(() => taken.length === 5);
  expect(taken.map(({ job, state }) => `${job} ${state}`)).toEqual([
    ...["a running", "a queued", "a running", "a failed", "b cancelled"],
  ]);
  expect(new Set(taken.map(({ id }) => id)).size).toBe(5);
  expect(taken[3]).toMatchObject({ release: "release-a" });
  for (const { body, signature } of seen) expect(await isSignedJobEvent(body, TOKEN, signature)).toBe(true);
  await until(() => outbox.size === 0);
});

test("what is not taken is sent again, the same, before anything later", async () => {
  const { store, outbox } = setUp();
  store.add(jobEntry("a"));
  store.claim("me");
  store.finish("a", "succeeded");
  const { taken, seen } = startSender(outbox, [500, null, 401, 302]);
  await until(() => taken.length === 2);
  expect(taken.map(({ state }) => state)).toEqual(["running", "succeeded"]);
  expect(seen).toHaveLength(6);
  expect(new Set(seen.slice(0, 5).map(({ body }) => body)).size).toBe(1);
});

test("an event outlives the service, and waits long between tries", () => {
  const { store, outbox, outboxOf } = setUp();
  store.add(jobEntry("a"));
  store.claim("me");
  const first = outbox.take(1_000, 30_000)!;
  outbox.close();
  const next = outboxOf();
  expect(next.take(30_999, 30_000)).toBeUndefined();
  expect(next.take(31_000, 30_000)).toMatchObject({ tries: 1, event: first.event });
  next.postpone(first.number, 100_000);
  expect(next.take(99_999, 1)).toBeUndefined();
  next.settle(first.number);
  expect([next.take(200_000, 1), next.size]).toEqual([undefined, 0]);
});

test("two services on one store do not both send an event", () => {
  const { store, outbox, outboxOf } = setUp();
  store.add(jobEntry("a"));
  store.claim("me");
  store.finish("a", "failed", "x");
  const [first, second] = [outbox.take(1_000, 30_000), outboxOf().take(1_000, 30_000)];
  expect(first?.event.state).toBe("running");
  expect(second, "what comes later waits, too").toBeUndefined();
});

test("events that nobody wanted to know for a week are forgotten", () => {
  const { store, outbox } = setUp();
  store.add(jobEntry("a"));
  store.claim("me");
  outbox.forgetBefore(new Date(Date.now() - 1_000));
  expect(outbox.size).toBe(1);
  outbox.forgetBefore(new Date(Date.now() + 1_000));
  expect(outbox.size).toBe(0);
});

test.each([
  ["another body", (s: string) => s, "{}", TOKEN],
  ["another token", (s: string) => s, undefined, `${TOKEN}!`],
  ["a signature that is none", () => "zz", undefined, TOKEN],
  ["one in capitals", (s: string) => s.toUpperCase(), undefined, TOKEN],
  ["an empty one", () => "", undefined, TOKEN],
])("a signature does not fit %s", async (_what, change, body, token) => {
  const signed = '{"id":"a-1","n":"fffa"}';
  const signature = await signJobEvent(signed, TOKEN);
  expect(signature).toMatch(/^[0-9a-f]{64}$/);
  expect(await isSignedJobEvent(signed, TOKEN, signature)).toBe(true);
  expect(await isSignedJobEvent(body ?? signed, token, change(signature))).toBe(false);
});
