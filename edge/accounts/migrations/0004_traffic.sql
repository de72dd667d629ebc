-- Captured traffic lies under a random subject; whose it is stands here alone.
CREATE TABLE traffic_subjects (
  key TEXT PRIMARY KEY,          -- the key's id
  subject TEXT NOT NULL UNIQUE,  -- 32 hex digits
  created TEXT NOT NULL          -- ISO 8601
);
-- How much was captured on each day of UTC, for its cap.
CREATE TABLE traffic_days (
  day TEXT PRIMARY KEY,          -- YYYY-MM-DD
  bytes INTEGER NOT NULL
);
-- Grows when what was kept of the key's texts is deleted: everything kept under the old one is out of reach.
ALTER TABLE api_keys ADD COLUMN generation INTEGER NOT NULL DEFAULT 0;
