-- With the start in it, a page of the sweep's list is read without touching a row.
DROP INDEX experiments_to_sweep;
CREATE INDEX experiments_to_sweep ON experiments (id, started_at) WHERE is_final = 0;

-- How far round the sweeps have come: the next one begins after that id. One row, and none until a sweep needs it.
CREATE TABLE sweep_progress (
  only INTEGER PRIMARY KEY CHECK (only = 1),
  resume_after TEXT NOT NULL
) STRICT;
