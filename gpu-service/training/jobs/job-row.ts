/** A job as it lies in the database. */
import { z } from "zod";
import { type Job, jobState, progressSchema } from "../../protocol/jobs.ts";

export const JOB_TABLE = `
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = FULL;
  PRAGMA busy_timeout = 5000;
  CREATE TABLE IF NOT EXISTS jobs (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    idempotency_key TEXT UNIQUE,
    recipe TEXT NOT NULL,
    release TEXT NOT NULL,
    publish INTEGER NOT NULL,
    state TEXT NOT NULL,
    created TEXT NOT NULL,
    started TEXT,
    finished TEXT,
    progress TEXT,
    error TEXT,
    owner TEXT,
    process TEXT,
    attempts INTEGER NOT NULL DEFAULT 0,
    cancel_requested INTEGER NOT NULL DEFAULT 0
  ) STRICT;
  CREATE INDEX IF NOT EXISTS jobs_by_state ON jobs (state, number);
`;

export const jobRowSchema = z.object({
  id: z.string(),
  recipe: z.string(),
  release: z.string(),
  publish: z.number().transform((n) => n === 1),
  state: jobState,
  created: z.string(),
  started: z.string().nullable(),
  finished: z.string().nullable(),
  progress: z
    .string()
    .nullable()
    .transform((text) => (text === null ? null : progressSchema.parse(JSON.parse(text)))),
  error: z.string().nullable(),
  owner: z.string().nullable(),
  process: z.string().nullable(),
  attempts: z.number(),
  cancel_requested: z.number().transform((n) => n === 1),
});
/** A job with what only the runner needs to know. `owner` and `process` are identities of processes. */
export type StoredJob = z.infer<typeof jobRowSchema>;

/** What the API shows of it. */
export function publicView(row: StoredJob): Job {
  const { owner: _owner, process: _process, attempts: _attempts, cancel_requested: _cancel, ...job } = row;
  return job;
}
