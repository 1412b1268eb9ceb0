-- The metrics of an experiment, as JSON, as in the API.
ALTER TABLE experiments ADD COLUMN metrics TEXT NOT NULL DEFAULT '[]';

-- The counts behind an experiment's results. The figures are computed from them when they are read, so that an edit of
-- the variants, or of a metric's name or direction, applies at once.
CREATE TABLE results (
  experiment_id TEXT PRIMARY KEY REFERENCES experiments (id) ON DELETE CASCADE,
  as_of INTEGER,
  computed_at INTEGER,
  last_error_at INTEGER,
  counted TEXT -- JSON; null until the first success
) STRICT;
