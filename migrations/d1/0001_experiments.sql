-- One row per experiment and its summary, updated in place. Times are epoch milliseconds.
CREATE TABLE experiments (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  environment_key TEXT NOT NULL,
  feature_name TEXT NOT NULL,
  variants TEXT NOT NULL, -- JSON, as in the API
  started_at INTEGER,
  ended_at INTEGER,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,

  version INTEGER NOT NULL DEFAULT 1, -- incremented by each write that a client can see: the ETag
  as_of INTEGER,
  computed_at INTEGER,
  is_final INTEGER NOT NULL DEFAULT 0,
  last_error_at INTEGER,
  refresh_requested_at INTEGER, -- the newest request that no refresh has served
  called_at INTEGER, -- the newest POST …/refresh that counts for the minimum interval
  exposures TEXT -- JSON, as in the API; last, because reading columns after a long one is slow
) STRICT;

CREATE INDEX experiments_by_feature ON experiments (environment_key, feature_name);
CREATE INDEX experiments_by_environment ON experiments (environment_key, id);
CREATE INDEX experiments_to_sweep ON experiments (id) WHERE is_final = 0;

-- Ids of the signed webhooks that were processed, so that a repeated delivery changes nothing.
CREATE TABLE webhook_deliveries (
  id TEXT PRIMARY KEY,
  received_at INTEGER NOT NULL,
  receipt TEXT NOT NULL
) STRICT;

CREATE INDEX webhook_deliveries_by_age ON webhook_deliveries (received_at);
