-- API keys. Only the SHA-256 of a key is stored, so the table does not reveal usable keys.
CREATE TABLE api_keys (
  id TEXT PRIMARY KEY, -- the first 16 digits of sha256
  sha256 TEXT NOT NULL UNIQUE, -- hexadecimal
  name TEXT NOT NULL,
  environment_key TEXT, -- null: every environment
  role TEXT NOT NULL CHECK (role IN ('read', 'write')),
  created_at INTEGER NOT NULL,
  expires_at INTEGER -- null: never
) STRICT;
