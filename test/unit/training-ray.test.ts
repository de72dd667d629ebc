/** The launcher `ray` against the Jobs API as Ray documents it; a real cluster runs it in test/ray. */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { rayLauncher } from "../../gpu-service/training/launchers/ray.ts";
import { temporaryFolder } from "../support/training-folder.ts";

type Submitted = {
  submission_id: string;
  entrypoint: string;
  runtime_env: { env_vars: Record<string, string> };
};
type FakeRay = {
  address: string;
  submitted: Submitted[];
  /** By id: what is answered from now on. */
  status: Map<string, string>;
  logs: string;
  /** Answers so many requests with 503 first. */
  outages: number;
  /** What was asked, with the token that came along. */
  asked: string[];
  server: Server;
};

let ray: FakeRay;
beforeEach(async () => {
  const server = createServer((request, response) => {
    let body = "";
    request.on("data", (chunk) => {
      body += chunk;
    });
    request.on("end", () => {
      ray.asked.push(`${request.method} ${request.url} ${request.headers.authorization ?? "-"}`);
      const { status, json } = answer(request.method!, request.url!, body);
      response.writeHead(status).end(json === undefined ? "no such job" : JSON.stringify(json));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  ray = { address, submitted: [], status: new Map(), logs: "", outages: 0, asked: [], server };
});
afterEach(() => ray.server.close());

function answer(method: string, url: string, body: string): { status: number; json?: unknown } {
  if (ray.outages-- > 0) return { status: 503, json: {} };
  const [, id = "", action] = /^\/api\/jobs\/([^/]*)\/?(\w*)$/.exec(url) ?? [];
  if (method === "POST" && id === "") {
    const job = JSON.parse(body) as Submitted;
    ray.submitted.push(job);
    ray.status.set(job.submission_id, "PENDING");
    return { status: 200, json: { submission_id: job.submission_id } };
  }
  const status = ray.status.get(id);
  if (status === undefined) return { status: 404 };
  if (action === "logs") return { status: 200, json: { logs: ray.logs } };
  if (action === "stop") ray.status.set(id, "STOPPED");
  return { status: 200, json: { status: ray.status.get(id), message: "said by Ray" } };
}

function setUp() {
  const job = join(temporaryFolder(), "it's a job");
  mkdirSync(job);
  const task = {
    ...{ recipe: join(job, "recipe.json"), work: join(job, "work"), out: join(job, "out") },
    ...{
      events: join(job, "events.jsonl"),
      log: join(job, "log.txt"),
      inputs: { parent: join(job, "parent") },
    },
  };
  const launcher = rayLauncher({
    ...{ address: ray.address, token: "of the cluster", workers: 2, gpus: 1 },
    ...{ python: "python3", project: "/trainer", modelsRoot: "/models" },
  });
  const named: string[] = [];
  const tell = {
    log: () => {},
    progress: () => {},
    named: (identity: string) => {
      expect(ray.submitted, "the identity is known before there is a job").toEqual([]);
      named.push(identity);
    },
  };
  const start = () => launcher.start(task, tell, new AbortController().signal);
  const end = (status: string, logs = "") => {
    ray.logs = logs;
    for (const id of ray.status.keys()) ray.status.set(id, status);
  };
  return { task, launcher, start, named, end };
}

test("a job is submitted once, with flags that a shell reads as they were meant, and its identity first", async () => {
  const { start, named, task } = setUp();
  const trainer = await start();
  expect(named).toEqual([trainer.identity]);
  const [job] = ray.submitted;
  expect(trainer.identity).toBe(`ray:${job!.submission_id}`);
  expect(job!.runtime_env.env_vars).toEqual({ PYTHONPATH: "/trainer", MODELS_ROOT: "/models" });
  const words = execFileSync("sh", ["-c", job!.entrypoint.replace("'python3'", "printf '%s\\n'")], {
    encoding: "utf8",
  });
  expect(words.trim().split("\n")).toEqual([
    ...["-u", "-m", "trainer", "cluster", "--recipe", task.recipe, "--work", task.work, "--out", task.out],
    ...["--events", task.events, "--parent", task.inputs.parent, "--workers", "2", "--gpus", "1"],
  ]);
  expect(new Set(ray.asked.map((asked) => asked.slice(asked.indexOf("Bearer"))))).toEqual(
    new Set(["Bearer of the cluster"]),
  );
});

test.each([
  ["SUCCEEDED", "", { kind: "finished" }],
  [
    "FAILED",
    "cluster: stage 'distil': no texts\n",
    { kind: "refused", message: "the trainer failed: stage 'distil': no texts" },
  ],
  ["FAILED", "Traceback ...\nWorkerDied: oom", { kind: "lost", message: "the Ray job failed: said by Ray" }],
  ["STOPPED", "", { kind: "lost", message: "the Ray job was stopped" }],
])("%s with %j ends it", async (status, logs, ended) => {
  const { start, end, task } = setUp();
  const trainer = await start();
  end(status, logs);
  expect(await trainer.ended).toEqual(ended);
  expect(existsSync(task.log) ? readFileSync(task.log, "utf8").trim() : "").toBe(logs.trim());
});

test("ending it stops the job and waits until it has stopped", async () => {
  const { start } = setUp();
  const trainer = await start();
  await trainer.end();
  expect([...ray.status.values()]).toEqual(["STOPPED"]);
});

test("the next service finds a job that runs or has succeeded, and begins anew after one that failed or is unknown", async () => {
  const { start, launcher, task, end } = setUp();
  const { identity } = await start();
  for (const status of ["PENDING", "RUNNING", "SUCCEEDED"]) {
    end(status);
    expect((await launcher.adopt(identity, task))?.identity, status).toBe(identity);
  }
  for (const status of ["FAILED", "STOPPED"]) {
    end(status);
    expect(await launcher.adopt(identity, task), status).toBeUndefined();
  }
  expect(await launcher.adopt("ray:nobody", task)).toBeUndefined();
  expect(await launcher.adopt("123@456", task), "a local trainer's").toBeUndefined();
});

test("a head that restarts is waited for", async () => {
  const { start, end } = setUp();
  ray.outages = 2;
  const trainer = await start();
  ray.outages = 1;
  end("SUCCEEDED");
  expect(await trainer.ended).toEqual({ kind: "finished" });
});
