-- With the times in the indexes, a list by status skips other experiments without reading their rows.
DROP INDEX experiments_by_environment;
CREATE INDEX experiments_by_environment ON experiments (environment_key, id, started_at, ended_at);
CREATE INDEX experiments_by_id ON experiments (id, started_at, ended_at);
