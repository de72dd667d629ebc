-- The chains that retrain drafts: one row each, its newest facts. Times are ISO 8601.
CREATE TABLE retraining_chains (
  id TEXT PRIMARY KEY,       -- also its workflow instance's, and its job's idempotency key
  target TEXT NOT NULL,
  recipe TEXT NOT NULL,
  forced INTEGER NOT NULL,   -- 1: by hand, however little traffic there is
  state TEXT NOT NULL,
  traffic_since TEXT,
  traffic_until TEXT,
  requests INTEGER,          -- captured in that time
  parent TEXT,               -- the release it began with
  job TEXT,
  release TEXT,
  canary_since TEXT,
  wake_at TEXT,              -- past this, a chain that sleeps is woken
  note TEXT,
  started TEXT NOT NULL,
  ended TEXT                 -- NULL while it goes on
);
-- A target has one chain at a time.
CREATE UNIQUE INDEX retraining_open ON retraining_chains (target) WHERE ended IS NULL;
CREATE INDEX retraining_by_job ON retraining_chains (job);
-- What every chain did, in order; a thing that a restart did twice is noted once.
CREATE TABLE retraining_audit (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  chain TEXT NOT NULL,
  done TEXT NOT NULL,
  at TEXT NOT NULL,
  facts TEXT NOT NULL,       -- JSON
  UNIQUE (chain, done)
);
