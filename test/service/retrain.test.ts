/**
 * Real jobs on a running system: one whose draft the gates keep back, one whose draft is taken up, both under load.
 *
 * They go on from the release that ships, for a few steps: what a whole recipe learns is the training tests' to judge.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import { z } from "zod";
import { isFinished, type Job, jobSchema } from "../../gpu-service/protocol/jobs.ts";
import { openPublisher } from "../../gpu-service/training/publish/publisher.ts";
import { startTemporarySystem } from "../../infra/bench/temporary-system.ts";
import { sameAgain } from "../../infra/check/same-again.ts";
import type { System } from "../../infra/start/system.ts";

const JOB_TIMEOUT_MS = 900_000;
const UPTAKE_TIMEOUT_MS = 60_000;
const PAUSE_MS = 400;
const completionSchema = z.object({
  choices: z.array(z.object({ text: z.string() })).length(1),
  outrider: z.object({ release: z.string().nullable(), note: z.string().nullable() }),
});
type Answer = { release: string | null; text: string };

let system: System;
let shipped: string;
beforeAll(async () => {
  system = await startTemporarySystem({ target: "tiny", retrainRecipe: "tiny" });
  const publisher = await openPublisher(system.publishing);
  shipped = (await publisher.channels.read(system.target))!.current.release;
  publisher.close();
});
afterAll(() => system?.stop());

test(
  "a draft that has unlearned is refused by the gates and reaches nobody",
  async () => {
    const load = startLoad();
    const overrides = { stages: { distil: { lr: 0.1 } } };
    const { id } = await askTraining("", { ...sameAgain(shipped, "unlearned"), overrides });
    const job = await untilFinished(id);
    await load.stop();

    expect(job, await log(id)).toMatchObject({ state: "failed", overrides, release: "unlearned" });
    expect(job.error).toMatch(/^not published: acceptance: code: .* of ids foreseen, /);
    const passed = job.gates?.filter((gate) => gate.passed).map(({ gate }) => gate);
    expect(passed).toEqual(["image", "memory", "golden", "leaks"]);
    expect(load.failures).toEqual([]);
    expect(new Set(load.answers.map((answer) => answer.release))).toEqual(new Set([shipped]));
  },
  JOB_TIMEOUT_MS,
);

test(
  "a draft that is no worse reaches a running edge: no restart, no failed request, the same text",
  async () => {
    const pids = system.pids();
    const load = startLoad();
    const { id } = await askTraining("", sameAgain(shipped, "taught"));
    const job = await untilFinished(id);
    expect(job, await log(id)).toMatchObject({ state: "succeeded", error: null, parent: shipped });
    expect(job.gates?.map(({ passed }) => passed)).toEqual([true, true, true, true, true, true]);
    await until(() => load.answers.at(-1)?.release === "taught", "the new release in a completion's details");
    await load.stop();

    expect(load.failures).toEqual([]);
    expect(new Set(load.answers.map((answer) => answer.text)).size).toBe(1);
    const releases = load.answers.map((answer) => answer.release);
    // Once taken up, it stays.
    expect(new Set(releases.slice(0, releases.indexOf("taught")))).toEqual(new Set([shipped]));
    expect(new Set(releases.slice(releases.indexOf("taught")))).toEqual(new Set(["taught"]));
    expect(system.pids()).toEqual(pids);
  },
  JOB_TIMEOUT_MS,
);

test("the worker's cron begins one chain, however often the tick is delivered; without traffic it ends there", async () => {
  const tick = `${system.address}/cdn-cgi/handler/scheduled?cron=0+3+*+*+*&time=${Date.UTC(2026, 0, 1, 3)}`;
  for (let delivery = 0; delivery < 2; delivery++) expect((await fetch(tick)).status).toBe(200);
  const { chains } = await untilChainsEnd();
  expect(chains).toMatchObject([
    { id: "2026-01-01T03-00-cron-0-3-x-x-x", state: "skipped", note: "0 new requests, 1000 are needed" },
  ]);
  const { data } = z.object({ data: z.array(jobSchema) }).parse(await request(""));
  expect(data.filter((job) => job.recipe === "tiny")).toEqual([]);
});

const chainsSchema = z.object({
  chains: z.array(z.looseObject({ state: z.string(), ended: z.string().nullable() })),
});

/** What the worker says of its chains once none goes on. */
async function untilChainsEnd(): Promise<z.infer<typeof chainsSchema>> {
  const headers = { authorization: `Bearer ${system.secrets.admin}` };
  for (const deadline = Date.now() + UPTAKE_TIMEOUT_MS; ; await pause(300)) {
    const said = chainsSchema.parse(
      await (await fetch(`${system.address}/admin/retraining`, { headers })).json(),
    );
    if (said.chains.every(({ ended }) => ended !== null)) return said;
    if (Date.now() > deadline) throw new Error(`chains go on: ${JSON.stringify(said)}`);
  }
}

/** One greedy completion after the other until stopped. */
function startLoad() {
  const answers: Answer[] = [];
  const failures: string[] = [];
  let running = true;
  const done = (async () => {
    for (; running; await pause(PAUSE_MS)) {
      await complete().then(
        (answer) => answers.push(answer),
        (error: unknown) => failures.push(String(error)),
      );
    }
  })();
  const stop = () => {
    running = false;
    return done;
  };
  return { answers, failures, stop };
}

async function complete(): Promise<Answer> {
  const response = await fetch(`${system.address}/v1/completions`, {
    method: "POST",
    headers: {
      authorization: `Bearer ${system.key}`,
      "content-type": "application/json",
      "x-outrider-details": "1",
    },
    body: JSON.stringify({
      model: system.target,
      prompt: "def add(a, b):\n",
      max_tokens: 32,
      temperature: 0,
    }),
    signal: AbortSignal.timeout(30_000),
  });
  const body: unknown = await response.json();
  if (!response.ok) throw new Error(`${response.status}: ${JSON.stringify(body)}`);
  const { choices, outrider } = completionSchema.parse(body);
  return { release: outrider.release, text: choices[0]!.text };
}

const askTraining = async (path: string, body: unknown): Promise<Job> =>
  jobSchema.parse(await request(path, { method: "POST", body: JSON.stringify(body) }));

async function request(path: string, init: RequestInit = {}): Promise<unknown> {
  const headers = { authorization: `Bearer ${system.secrets.training}`, "content-type": "application/json" };
  const response = await fetch(`${system.training}/v1/jobs${path}`, { ...init, headers });
  expect(response.status).toBeLessThan(300);
  return response.json();
}

async function untilFinished(id: string): Promise<Job> {
  for (;;) {
    const job = jobSchema.parse(await request(`/${id}`));
    if (isFinished(job.state)) return job;
    await pause(1_000);
  }
}

async function until(holds: () => boolean, what: string): Promise<void> {
  const deadline = Date.now() + UPTAKE_TIMEOUT_MS;
  while (!holds()) {
    if (Date.now() > deadline) throw new Error(`not within ${UPTAKE_TIMEOUT_MS / 1000} s: ${what}`);
    await pause(200);
  }
}

async function log(id: string): Promise<string> {
  const headers = { authorization: `Bearer ${system.secrets.training}` };
  return (await fetch(`${system.training}/v1/jobs/${id}/logs`, { headers })).text();
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
