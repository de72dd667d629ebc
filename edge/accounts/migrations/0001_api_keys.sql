-- One row per API key. The key itself is shown once and never stored.
CREATE TABLE api_keys (
  id TEXT PRIMARY KEY,
  hash TEXT NOT NULL UNIQUE, -- SHA-256 of the key, hex
  prefix TEXT NOT NULL,      -- its first characters, to recognise it by
  name TEXT NOT NULL,
  created TEXT NOT NULL,     -- ISO 8601
  revoked TEXT               -- ISO 8601; NULL while the key is good
);
