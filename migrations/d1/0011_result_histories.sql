-- The verdicts that decide whether a comparison is alerted, as JSON. They belong to an experiment's results.
CREATE TABLE result_histories (
  experiment_id TEXT PRIMARY KEY REFERENCES experiments (id) ON DELETE CASCADE,
  history TEXT NOT NULL
) STRICT;
