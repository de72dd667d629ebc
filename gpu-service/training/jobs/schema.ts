/** The tables of `jobs.sqlite`, and how one of an older version becomes one of this. */
import type { DatabaseSync } from "node:sqlite";

/** Run in order, each once; a store remembers how many it has had. */
const MIGRATIONS = [
  `CREATE TABLE IF NOT EXISTS jobs (
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
  CREATE INDEX IF NOT EXISTS jobs_by_state ON jobs (state, number);`,
  // A job keeps the recipe that it was posted with, its overrides in it; one of before has only the recipe's name.
  `ALTER TABLE jobs ADD COLUMN recipe_json TEXT;
  ALTER TABLE jobs ADD COLUMN overrides TEXT;
  ALTER TABLE jobs ADD COLUMN traffic TEXT;
  ALTER TABLE jobs ADD COLUMN parent TEXT;
  ALTER TABLE jobs ADD COLUMN gates TEXT;
  ALTER TABLE jobs ADD COLUMN publishing TEXT NOT NULL DEFAULT 'no';
  UPDATE jobs SET publishing = 'channel' WHERE publish = 1;
  ALTER TABLE jobs DROP COLUMN publish;
  ALTER TABLE jobs RENAME COLUMN publishing TO publish;`,
  // Written by the very statement that changes the state: no change is untold, none is told that did not happen.
  `CREATE TABLE outbox (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    job TEXT NOT NULL,
    state TEXT NOT NULL,
    release TEXT NOT NULL,
    time TEXT NOT NULL,
    tries INTEGER NOT NULL DEFAULT 0,
    next_try INTEGER NOT NULL DEFAULT 0
  ) STRICT;
  CREATE TRIGGER job_changed AFTER UPDATE OF state ON jobs WHEN NEW.state <> OLD.state BEGIN
    INSERT INTO outbox (job, state, release, time)
    VALUES (NEW.id, NEW.state, NEW.release, strftime('%Y-%m-%dT%H:%M:%fZ'));
  END;`,
  // How far the job was when its trainer was last lost.
  "ALTER TABLE jobs ADD COLUMN lost_at INTEGER NOT NULL DEFAULT -1;",
];

/** Safe when several services do it at once. */
export function openTables(db: DatabaseSync): void {
  db.exec("PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;");
  db.exec("BEGIN IMMEDIATE");
  try {
    const had = Number(db.prepare("PRAGMA user_version").get()?.user_version);
    for (const migration of MIGRATIONS.slice(had)) db.exec(migration);
    if (had < MIGRATIONS.length) db.exec(`PRAGMA user_version = ${MIGRATIONS.length}`);
    db.exec("COMMIT");
  } catch (error) {
    db.exec("ROLLBACK");
    throw error;
  }
}
