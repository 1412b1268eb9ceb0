-- The history of an experiment's checks that is needed to alert once per change, as JSON. It has its own table, because
-- columns after a long one are slow to read.
CREATE TABLE health_watches (
  experiment_id TEXT PRIMARY KEY,
  watch TEXT NOT NULL
) STRICT;

-- Alerts that are not delivered yet. Each is written in one transaction with the numbers that caused it.
CREATE TABLE alerts (
  id TEXT PRIMARY KEY,
  experiment_id TEXT NOT NULL,
  body TEXT NOT NULL, -- JSON, as it is sent
  failures INTEGER NOT NULL,
  due_at INTEGER NOT NULL
) STRICT;

CREATE INDEX alerts_by_due ON alerts (due_at);
