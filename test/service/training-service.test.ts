/** The training service as it is started: configuration, signals, jobs that outlive it. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { z } from "zod";
import { type Job, jobListSchema, jobSchema } from "../../gpu-service/protocol/jobs.ts";
import { NODE, ROOT } from "../../infra/start/paths.ts";
import { freePort } from "../../infra/start/ports.ts";
import { temporaryFolder } from "../support/training-folder.ts";

const TOKEN = "a token of more than thirty-two bytes";
let env: Record<string, string>;
let service: Service | undefined;
type Service = { child: ChildProcess; output: () => string; exit: Promise<number | null> };

beforeEach(async () => {
  const folder = temporaryFolder();
  env = {
    TRAINING_PORT: String(await freePort()),
    TRAINING_DATA: join(folder, "training"),
    MODELS_ROOT: folder,
    TRAINING_TOKEN: TOKEN,
    OUTRIDER_PYTHON: join(folder, "no-such-python"),
  };
});
afterEach(async () => {
  service?.child.kill("SIGKILL");
  await service?.exit;
});

function start(extra: Record<string, string> = {}): Service {
  const args = ["--disable-warning=ExperimentalWarning", join(ROOT, "gpu-service/training/main.ts")];
  const child = spawn(NODE, args, { env: { PATH: process.env.PATH, ...env, ...extra } });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk) => {
      output += chunk;
    });
  }
  service = {
    child,
    output: () => output,
    exit: once(child, "exit").then(([code]) => code as number | null),
  };
  return service;
}

async function ready({ output }: Service): Promise<void> {
  for (let waited = 0; waited < 20_000; waited += 50) {
    const response = await fetch(`http://127.0.0.1:${env.TRAINING_PORT}/readyz`).catch(() => null);
    if (response?.ok) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`the training service is not ready:\n${output()}`);
}

async function ask<T>(path: string, schema: z.ZodType<T>, body?: unknown): Promise<T> {
  const response = await fetch(`http://127.0.0.1:${env.TRAINING_PORT}/v1/jobs${path}`, {
    method: body === undefined ? "GET" : "POST",
    headers: { authorization: `Bearer ${TOKEN}`, "content-type": "application/json" },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  return schema.parse(await response.json());
}

async function finished(id: string): Promise<Job> {
  const response = await fetch(`http://127.0.0.1:${env.TRAINING_PORT}/v1/jobs/${id}/events`, {
    headers: { authorization: `Bearer ${TOKEN}` },
  });
  const events = [...(await response.text()).matchAll(/^data: (.*)$/gm)];
  return jobSchema.parse(JSON.parse(events.at(-1)![1]!));
}

test("a bad configuration ends the start and names every bad key", async () => {
  const { exit, output } = start({ TRAINING_HOST: "0.0.0.0", TRAINING_TOKEN: "short", EDGE_URL: "nowhere" });
  expect(await exit).toBe(2);
  for (const key of ["TRAINING_TOKEN", "EDGE_URL", "S3_ENDPOINT", "KEYS_DIR"])
    expect(output()).toContain(key);
});

test("a machine without Python fails the job, not the service, and says what is missing", async () => {
  await ready(start());
  const { id } = await ask("", jobSchema, { recipe: "tiny", publish: false });
  expect(await finished(id)).toMatchObject({
    state: "failed",
    error: `Python 3.11 or newer is needed (looked for ${env.OUTRIDER_PYTHON}). Install it, or name one by OUTRIDER_PYTHON.`,
  });
  const refused = await ask("", z.object({ error: z.object({ message: z.string() }) }), { recipe: "tiny" });
  expect(refused.error.message).toContain("no bucket and edge configured");
});

test("jobs outlive the service; a second request to stop does not cut the first one short", async () => {
  const first = start();
  await ready(first);
  const { id } = await ask("", jobSchema, { recipe: "tiny", publish: false });
  await finished(id);
  first.child.kill("SIGTERM");
  first.child.kill("SIGINT");
  expect(await first.exit).toBe(0);
  await ready(start());
  const { data } = await ask("", jobListSchema);
  expect(data.map((job) => [job.id, job.state])).toEqual([[id, "failed"]]);
});

test("a port in use ends the start with its address", async () => {
  await ready(start());
  const holder = service!;
  const second = start();
  expect(await second.exit).toBe(1);
  expect(second.output()).toContain(`cannot listen on 127.0.0.1:${env.TRAINING_PORT}`);
  service = holder;
});
