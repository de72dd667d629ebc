import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect, test } from "vitest";
import { JobStore } from "../../gpu-service/training/jobs/store.ts";
import { jobEntry } from "../support/training.ts";
import { temporaryFolder } from "../support/training-folder.ts";

const job = (id: string, idempotency_key?: string) =>
  jobEntry(id, idempotency_key === undefined ? {} : { idempotency_key });
const openStore = (folder = temporaryFolder()) => new JobStore(join(folder, "jobs.sqlite"));

test("the same idempotency key gives the first job, another key a new one", () => {
  const store = openStore();
  expect(store.add(job("a", "key")).created).toBe(true);
  const again = store.add(job("b", "key"));
  expect(again).toMatchObject({ created: false, job: { id: "a", release: "release-a" } });
  expect(store.add(job("c", "other")).created).toBe(true);
  expect(store.add(job("d")).created).toBe(true);
  expect(store.add(job("e")).created).toBe(true);
  expect(store.list(10).map((j) => j.id)).toEqual(["e", "d", "c", "a"]);
});

test("two services on one store never claim one job twice, and claim in order", () => {
  const folder = temporaryFolder();
  const [left, right] = [openStore(folder), openStore(folder)];
  for (const id of ["a", "b", "c"]) left.add(job(id));
  const claimed = [left.claim("L"), right.claim("R"), left.claim("L"), right.claim("R")];
  expect(claimed.map((j) => j?.id)).toEqual(["a", "b", "c", undefined]);
  expect(claimed[1]).toMatchObject({ owner: "R", state: "running", attempts: 1 });
});

test("a job of a dead owner is taken over by one service only", () => {
  const folder = temporaryFolder();
  const [left, right] = [openStore(folder), openStore(folder)];
  left.add(job("a"));
  left.claim("dead");
  expect(left.takeOver("a", "dead", "L")?.owner).toBe("L");
  expect(right.takeOver("a", "dead", "R")).toBeUndefined();
});

test("jobs outlive the store that wrote them, with their progress", () => {
  const folder = temporaryFolder();
  const store = openStore(folder);
  store.add(job("a"));
  store.claim("L");
  store.setProgress("a", { stage: "distil", step: 3, steps: 9, loss: 1.5 });
  store.close();
  expect(openStore(folder).get("a")).toMatchObject({ state: "running", progress: { step: 3, loss: 1.5 } });
});

test("cancelling ends a queued job at once, marks a running one, and leaves a finished one alone", () => {
  const store = openStore();
  for (const id of ["a", "b"]) store.add(job(id));
  store.claim("L");
  expect(store.requestCancel("b")?.state).toBe("cancelled");
  expect(store.requestCancel("a")?.state).toBe("running");
  expect(store.find("a")?.cancel_requested).toBe(true);
  store.finish("a", "succeeded");
  expect(store.requestCancel("a")?.state).toBe("succeeded");
  expect(store.requestCancel("nobody")).toBeUndefined();
});

test("a job that goes back because the service stops keeps its attempts", () => {
  const store = openStore();
  store.add(job("a"));
  store.claim("L");
  store.requeue("a", false);
  expect(store.claim("L")?.attempts).toBe(1);
  store.requeue("a", true);
  expect(store.claim("L")?.attempts).toBe(2);
});

test("losses are counted while a job gets no further", () => {
  const store = openStore();
  store.add(job("a"));
  const loseAt = (at: number) => {
    store.claim("L");
    const losses = store.noteLoss("a", at);
    store.requeue("a", true);
    return losses;
  };
  expect([5, 5, 9, 9, 7, 30].map(loseAt)).toEqual([1, 2, 1, 2, 3, 1]);
});

test("the public view of a job tells nothing of processes", () => {
  const store = openStore();
  store.add(job("a"));
  const hidden = ["owner", "process", "attempts", "cancel_requested", "recipe_json"];
  expect(Object.keys(store.get("a")!).filter((key) => hidden.includes(key))).toEqual([]);
  expect(Object.keys(store.find("a")!)).toEqual(expect.arrayContaining(hidden));
});

test("a store of the version that knew only names of recipes goes on", () => {
  const folder = temporaryFolder();
  const old = new DatabaseSync(join(folder, "jobs.sqlite"));
  old.exec(OLD_TABLE);
  old.exec(`INSERT INTO jobs (id, recipe, release, publish, state, created)
    VALUES ('a', 'tiny', 'r', 1, 'queued', '2026-01-01'), ('b', 'tiny', 's', 0, 'queued', '2026-01-01')`);
  old.close();
  for (const store of [openStore(folder), openStore(folder)]) {
    expect(store.get("a")).toMatchObject({
      recipe: "tiny",
      publish: "channel",
      overrides: null,
      gates: null,
    });
    expect(store.find("b")).toMatchObject({ publish: "no", recipe_json: null });
  }
});

const OLD_TABLE = `CREATE TABLE jobs (
  number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, idempotency_key TEXT UNIQUE,
  recipe TEXT NOT NULL, release TEXT NOT NULL, publish INTEGER NOT NULL, state TEXT NOT NULL,
  created TEXT NOT NULL, started TEXT, finished TEXT, progress TEXT, error TEXT, owner TEXT, process TEXT,
  attempts INTEGER NOT NULL DEFAULT 0, cancel_requested INTEGER NOT NULL DEFAULT 0) STRICT`;
