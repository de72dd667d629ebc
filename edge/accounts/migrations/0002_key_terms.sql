-- What a key may do, how long, and how much.
ALTER TABLE api_keys ADD COLUMN scopes TEXT NOT NULL DEFAULT 'completions'; -- separated by spaces
ALTER TABLE api_keys ADD COLUMN expires TEXT;                               -- ISO 8601; NULL: never
ALTER TABLE api_keys ADD COLUMN capture INTEGER NOT NULL DEFAULT 0;         -- 1: its owner has agreed to it
ALTER TABLE api_keys ADD COLUMN quota_tokens INTEGER;                       -- NULL: no quota
ALTER TABLE api_keys ADD COLUMN quota_period TEXT;
