-- Alerts about the whole installation have no experiment.
CREATE TABLE new_alerts (
  id TEXT PRIMARY KEY,
  experiment_id TEXT,
  body TEXT NOT NULL, -- JSON, as Standard Webhooks sends it
  failures INTEGER NOT NULL,
  due_at INTEGER NOT NULL
) STRICT;

INSERT INTO new_alerts SELECT id, experiment_id, body, failures, due_at FROM alerts;

DROP TABLE alerts;

ALTER TABLE new_alerts RENAME TO alerts;

CREATE INDEX alerts_by_due ON alerts (due_at);

-- The experiments whose refreshes fail: since when, and the kind of the last failure. A success deletes the row.
CREATE TABLE refresh_failures (
  experiment_id TEXT PRIMARY KEY REFERENCES experiments (id) ON DELETE CASCADE,
  since INTEGER NOT NULL,
  kind TEXT NOT NULL
) STRICT;

-- The open alert about failing refreshes. The table has one row, or none while no such alert is open.
CREATE TABLE failing_alert (
  only INTEGER PRIMARY KEY CHECK (only = 1),
  experiments INTEGER NOT NULL -- as the last alert reported them
) STRICT;

-- 1: the numbers found no exposure in the 30 days before them. Sweeps read this from their index alone.
ALTER TABLE experiments ADD COLUMN is_idle INTEGER NOT NULL DEFAULT 0;

DROP INDEX experiments_to_sweep;
CREATE INDEX experiments_to_sweep ON experiments (id, started_at, is_final, refresh_requested_at, is_idle)
WHERE is_final = 0 OR refresh_requested_at IS NOT NULL;
