-- With the start in the index, a page of the sweep's list is read from the index alone.
DROP INDEX experiments_to_sweep;
CREATE INDEX experiments_to_sweep ON experiments (id, started_at) WHERE is_final = 0;

-- The next sweep starts after this id. The table has one row, or none until a sweep needs it.
CREATE TABLE sweep_progress (
  only INTEGER PRIMARY KEY CHECK (only = 1),
  resume_after TEXT NOT NULL
) STRICT;
