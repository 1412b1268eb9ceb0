-- What must be remembered of an experiment's checks to tell of each change once, as JSON. Beside the experiment's row,
-- because columns behind a long one are slow to read.
CREATE TABLE health_watches (
  experiment_id TEXT PRIMARY KEY,
  watch TEXT NOT NULL
) STRICT;

-- Alerts that have not been delivered yet, written in one transaction with the numbers that they speak of.
CREATE TABLE alerts (
  id TEXT PRIMARY KEY,
  experiment_id TEXT NOT NULL,
  body TEXT NOT NULL, -- JSON, as it is sent
  failures INTEGER NOT NULL,
  due_at INTEGER NOT NULL
) STRICT;

CREATE INDEX alerts_by_due ON alerts (due_at);
