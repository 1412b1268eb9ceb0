-- The owner of an experiment's definition: 'api', which includes the panel, or 'flagsmith'.
ALTER TABLE experiments ADD COLUMN source TEXT NOT NULL DEFAULT 'api';

-- What the last syncs found, by environment.
CREATE TABLE flagsmith_environments (
  environment_key TEXT PRIMARY KEY,
  listed_at INTEGER, -- the last complete listing, which had every experiment that is not ended here
  synced_at INTEGER, -- the last sync without a failure
  failed_at INTEGER, -- the last failure; null after a success
  failure TEXT, -- what the operator can do about it
  notes TEXT NOT NULL DEFAULT '[]' -- JSON: what could not be synced as it is in Flagsmith
) STRICT;

-- What was read of each listed experiment, so that an unchanged one is not read again.
CREATE TABLE flagsmith_experiments (
  environment_key TEXT NOT NULL,
  experiment_id TEXT NOT NULL,
  changed_at TEXT NOT NULL, -- Flagsmith's updated_at
  rollout TEXT NOT NULL, -- JSON: the allocations of its rollout; null: it has none
  read_at INTEGER NOT NULL, -- when the rollout was read; 0: it must be read again
  PRIMARY KEY (environment_key, experiment_id)
) STRICT;

-- The start of the last sync. The table has one row, or none before the first sync.
CREATE TABLE flagsmith_sync (
  only INTEGER PRIMARY KEY CHECK (only = 1),
  started_at INTEGER NOT NULL
) STRICT;
