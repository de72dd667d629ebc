import { expect, it } from "vitest";
import { newestJobs } from "../../edge/retraining/jobs.ts";

const JOB = {
  ...{
    id: "j",
    recipe: "tiny",
    release: "r",
    ...{ overrides: null, traffic: null, parent: null, gates: null },
    publish: "channel",
    state: "running",
    created: "2026-11-24T00:00:00Z",
  },
  ...{ started: null, finished: null, progress: null, error: null },
};
const asked: { url: string; headers: unknown }[] = [];
const service = (answer: Response) => ({
  url: "http://training.test",
  token: "t",
  fetch: (async (url: string, init: RequestInit) => {
    asked.push({ url, headers: init.headers });
    return answer;
  }) as typeof fetch,
});

it("asks the training service with its token", async () => {
  expect(await newestJobs(service(Response.json({ data: [JOB] })))).toEqual([JOB]);
  expect(asked).toEqual([
    { url: "http://training.test/v1/jobs?limit=10", headers: { authorization: "Bearer t" } },
  ]);
});

it("knows no jobs where there is no such service", async () => {
  expect(await newestJobs({ ...service(Response.error()), url: undefined })).toEqual([]);
});

it.each([
  ["a refusal", Response.json({}, { status: 401 }), /401/],
  ["another shape", Response.json({ data: [{}] }), /data/],
])("says what is wrong with %s", async (_, answer, message) => {
  await expect(newestJobs(service(answer))).rejects.toThrow(message);
});
